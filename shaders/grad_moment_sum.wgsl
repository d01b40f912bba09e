// M[q] += sum_b phi(sum_l X[b,l,q] D[b,l,q]): biases (X = 1, activations not read) and scales of a normalisation.
//
// The threads of a workgroup form a grid of lanesB samples x lanesL positions x lanesQ channels. The lanes of one sample
// join their sums in workgroup memory before phi, in a fixed tree; slices of the samples go to different workgroups.

override phi: u32; // 0 abs, 1 square, 2 identity
override samples: u32;
override positions: u32;
override fanOut: u32;
override scaled: u32;

// Chosen by the plan (src/kernels/webgpu-plan.ts). All lanes are powers of two.
override lanesQ: u32;
override lanesL: u32;
override lanesB: u32;
override samplesPerSlice: u32;
override accumulate: bool; // add to moment; otherwise slice z writes the z-th part of a scratch buffer

override threads = lanesQ * lanesL * lanesB;

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
  let q = (group.y * groups.x + group.x) * lanesQ + thread % lanesQ;
  let laneL = thread / lanesQ % lanesL;
  let laneB = thread / (lanesQ * lanesL);
  let first = group.z * samplesPerSlice;
  let last = min(samples, first + samplesPerSlice);

  var total = 0.0;
  for (var b = first; b < last; b += lanesB) {
    let sample = b + laneB;
    var g = 0.0;
    if (q < fanOut && sample < last) {
      for (var l = laneL; l < positions; l += lanesL) {
        let at = (sample * positions + l) * fanOut + q;
        if (scaled == 1u) {
          g = fma(activations[at], deltas[at], g);
        } else {
          g += deltas[at];
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
  if (laneB == 0u && laneL == 0u && q < fanOut) {
    if (accumulate) {
      moment[q] += sums[thread];
    } else {
      moment[group.z * fanOut + q] = sums[thread];
    }
  }
}
