// M[ky,kx,c,m] += sum_b phi(sum_l A[b,l,c] D[b,l,c,m]): every channel has filters of its own.
//
// The threads of a workgroup form a grid of lanesB samples x lanesL positions x lanesQ elements of M, as those of
// grad_moment_sum: the lanes of one sample join their sums in workgroup memory before phi, in a fixed tree; slices of the
// samples go to different workgroups.

override phi: u32; // 0 abs, 1 square, 2 identity
override samples: u32;
override uses: u32;
override inHeight: u32;
override inWidth: u32;
override inChannels: u32;
override multiplier: u32;
override filterHeight: u32;
override filterWidth: u32;
override outHeight: u32;
override outWidth: u32;
override strideHeight: u32;
override strideWidth: u32;
override dilationHeight: u32;
override dilationWidth: u32;
override padTop: u32;
override padLeft: u32;

// Chosen by the plan (src/kernels/webgpu-plan.ts). All lanes are powers of two.
override lanesQ: u32;
override lanesL: u32;
override lanesB: u32;
override samplesPerSlice: u32;
override accumulate: bool; // add to moment; otherwise slice z writes the z-th part of a scratch buffer

override threads = lanesQ * lanesL * lanesB;
override fanOut = inChannels * multiplier;
override size = filterHeight * filterWidth * fanOut;
override grid = outHeight * outWidth;
override positions = uses * grid;

@group(0) @binding(0) var<storage, read> activations: array<f32>;
@group(0) @binding(1) var<storage, read> deltas: array<f32>;
@group(0) @binding(2) var<storage, read_write> moment: array<f32>;

var<workgroup> sums: array<f32, threads>;

fn applyPhi(g: f32) -> f32 {
  return select(select(g, g * g, phi == 1u), abs(g), phi == 0u);
}

@compute @workgroup_size(threads)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let element = (group.y * groups.x + group.x) * lanesQ + thread % lanesQ;
  let laneL = thread / lanesQ % lanesL;
  let laneB = thread / (lanesQ * lanesL);
  let first = group.z * samplesPerSlice;
  let last = min(samples, first + samplesPerSlice);

  let q = element % fanOut;
  let channel = q / multiplier;
  let tap = element / fanOut;
  let tapY = tap / filterWidth * dilationHeight;
  let tapX = tap % filterWidth * dilationWidth;

  var total = 0.0;
  for (var b = first; b < last; b += lanesB) {
    let sample = b + laneB;
    var g = 0.0;
    if (element < size && sample < last) {
      for (var l = laneL; l < positions; l += lanesL) {
        let image = sample * uses + l / grid;
        let pixel = l % grid;
        // Above the image or left of it, the difference wraps around and is no pixel either.
        let y = pixel / outWidth * strideHeight + tapY - padTop;
        let x = pixel % outWidth * strideWidth + tapX - padLeft;
        if (y < inHeight && x < inWidth) {
          let a = activations[((image * inHeight + y) * inWidth + x) * inChannels + channel];
          g = fma(a, deltas[(sample * positions + l) * fanOut + q], g);
        }
      }
    }
    if (lanesL > 1u) {
      sums[thread] = g;
      workgroupBarrier();
      for (var half = lanesL / 2u; half > 0u; half /= 2u) {
        if (laneL < half) {
          sums[thread] += sums[thread + half * lanesQ];
        }
        workgroupBarrier();
      }
      g = sums[thread];
    }
    if (laneL == 0u) {
      total += applyPhi(g);
    }
  }

  sums[thread] = total;
  workgroupBarrier();
  for (var half = lanesB / 2u; half > 0u; half /= 2u) {
    if (laneB < half) {
      sums[thread] += sums[thread + half * lanesQ * lanesL];
    }
    workgroupBarrier();
  }
  if (laneB == 0u && laneL == 0u && element < size) {
    if (accumulate) {
      moment[element] += sums[thread];
    } else {
      moment[group.z * size + element] = sums[thread];
    }
  }
}
