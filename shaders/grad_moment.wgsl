// M[p,q] += sum_b phi(sum_l A[b,l,p] D[b,l,q]), A gathered as convolution patches; rows are those of a 1x1x1 filter.
//
// A workgroup owns a tile of M and keeps it in registers while it walks its slice of the samples; per-sample gradients
// exist only as the accumulators of one sample. The sum over l must end before phi, so l is never split between
// workgroups or threads; the samples are. A thread owns micro x micro sums (8x8, or 4x4 for small M) as vec4 along q.

override phi: u32; // 0 abs, 1 square, 2 identity
override samples: u32;
override uses: u32;
override inDepth: u32;
override inHeight: u32;
override inWidth: u32;
override inChannels: u32;
override filterDepth: u32;
override filterHeight: u32;
override filterWidth: u32;
override outDepth: u32;
override outHeight: u32;
override outWidth: u32;
override fanOut: u32;
override strideDepth: u32;
override strideHeight: u32;
override strideWidth: u32;
override dilationDepth: u32;
override dilationHeight: u32;
override dilationWidth: u32;
override padFront: u32;
override padTop: u32;
override padLeft: u32;

// Chosen by the plan (src/kernels/webgpu-tilings.ts).
override tileP: u32; // both tile edges are multiples of 16 where micro is 8, of 4 where it is 4
override tileQ: u32;
override tileK: u32; // positions staged in workgroup memory at a time
override micro: u32;
override samplesPerSlice: u32;
override prefetch: bool; // the next stage is read into registers while the present one is computed
override accumulate: bool; // add to moment; otherwise slice z writes the z-th part of a scratch buffer
override vectorA: bool; // activations4 is bound: 4 neighbouring channels share a filter tap
override vectorD: bool; // deltas4 is bound

override filterArea = filterHeight * filterWidth;
override fanIn = filterDepth * filterArea * inChannels;
override outArea = outHeight * outWidth;
override outPixels = outDepth * outArea;
override positions = uses * outPixels;
// Nothing along the depth to compute, as in all but 3-D convolutions: the branches on it are decided here.
override flat = inDepth == 1u && filterDepth == 1u && outDepth == 1u && padFront == 0u;
override wide = micro == 8u;
override tilesP = (fanIn + tileP - 1u) / tileP;
override tilesQ = (fanOut + tileQ - 1u) / tileQ;
override quadsP = tileP / 4u;
override quadsQ = tileQ / 4u;
override threadsP = tileP / micro;
override threadsQ = tileQ / micro;
override threads = threadsP * threadsQ;
// Positions that all threads together stage at once. Those who read ahead have registers for four times as many.
override stepA = threads / quadsP;
override stepD = threads / quadsQ;

@group(0) @binding(0) var<storage, read> activations: array<f32>;
@group(0) @binding(1) var<storage, read> deltas: array<f32>;
@group(0) @binding(2) var<storage, read_write> moment: array<f32>;
@group(0) @binding(3) var<storage, read> activations4: array<vec4f>;
@group(0) @binding(4) var<storage, read> deltas4: array<vec4f>;

var<workgroup> stagedA: array<vec4f, tileK * quadsP>;
var<workgroup> stagedD: array<vec4f, tileK * quadsQ>;

// A row that no image has: wrapping sums with it stay above every height, as those before the first pixel stay above
// every depth, height and width.
const outside = 0x80000000u;

// Pixel offsets of the taps of four neighbours along p.
struct Taps {
  z: vec4u,
  y: vec4u,
  x: vec4u,
}

fn applyPhi(g: vec4f) -> vec4f {
  return select(select(g, g * g, phi == 1u), abs(g), phi == 0u);
}

// Four neighbours along p of the activations that meet position l; zero outside the image.
fn patch4(sample: u32, l: u32, taps: Taps, channel: vec4u) -> vec4f {
  if (l >= positions) {
    return vec4f(0);
  }
  let image = sample * uses + l / outPixels;
  let pixel = l % outPixels;
  var plane = vec4u(image);
  var row = pixel / outWidth;
  var inside = vec4<bool>(true);
  if (!flat) {
    let z = row / outHeight * strideDepth + taps.z;
    row %= outHeight;
    plane = image * inDepth + z;
    inside = z < vec4u(inDepth);
  }
  let y = row * strideHeight + taps.y;
  let x = pixel % outWidth * strideWidth + taps.x;
  inside &= (y < vec4u(inHeight)) & (x < vec4u(inWidth));
  let at = select(vec4u(0), ((plane * inHeight + y) * inWidth + x) * inChannels + channel, inside);
  if (vectorA) {
    return select(vec4f(0), activations4[at.x / 4u], inside.x);
  }
  return select(vec4f(0), vec4f(activations[at.x], activations[at.y], activations[at.z], activations[at.w]), inside);
}

fn delta4(sample: u32, l: u32, q: u32) -> vec4f {
  if (l >= positions || q >= fanOut) {
    return vec4f(0);
  }
  let at = (sample * positions + l) * fanOut + q;
  if (vectorD) {
    return deltas4[at / 4u];
  }
  let inside = vec4u(q, q + 1u, q + 2u, q + 3u) < vec4u(fanOut);
  let i = select(vec4u(at), vec4u(at, at + 1u, at + 2u, at + 3u), inside);
  return select(vec4f(0), vec4f(deltas[i.x], deltas[i.y], deltas[i.z], deltas[i.w]), inside);
}

// A thread's share of the stage that begins at position l.
fn patchesAhead(sample: u32, l: u32, taps: Taps, channel: vec4u) -> array<vec4f, 4> {
  var ahead = array<vec4f, 4>();
  ahead[0] = patch4(sample, l, taps, channel);
  if (stepA < tileK) { ahead[1] = patch4(sample, l + stepA, taps, channel); }
  if (2u * stepA < tileK) { ahead[2] = patch4(sample, l + 2u * stepA, taps, channel); }
  if (3u * stepA < tileK) { ahead[3] = patch4(sample, l + 3u * stepA, taps, channel); }
  return ahead;
}

fn deltasAhead(sample: u32, l: u32, q: u32) -> array<vec4f, 4> {
  var ahead = array<vec4f, 4>();
  ahead[0] = delta4(sample, l, q);
  if (stepD < tileK) { ahead[1] = delta4(sample, l + stepD, q); }
  if (2u * stepD < tileK) { ahead[2] = delta4(sample, l + 2u * stepD, q); }
  if (3u * stepD < tileK) { ahead[3] = delta4(sample, l + 3u * stepD, q); }
  return ahead;
}

fn stageA(k: u32, column: u32, value: vec4f) {
  if (k < tileK) { stagedA[k * quadsP + column] = value; }
}

fn stageD(k: u32, column: u32, value: vec4f) {
  if (k < tileK) { stagedD[k * quadsQ + column] = value; }
}

fn put(at: u32, value: f32) {
  if (accumulate) {
    moment[at] += value;
  } else {
    moment[at] = value;
  }
}

fn store4(slice: u32, p: u32, q: u32, value: vec4f) {
  if (p >= fanIn) {
    return;
  }
  let at = (slice * fanIn + p) * fanOut + q;
  if (q < fanOut) { put(at, value.x); }
  if (q + 1u < fanOut) { put(at + 1u, value.y); }
  if (q + 2u < fanOut) { put(at + 2u, value.z); }
  if (q + 3u < fanOut) { put(at + 3u, value.w); }
}

@compute @workgroup_size(threads)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let tile = group.y * groups.x + group.x;
  if (tile >= tilesP * tilesQ) {
    return;
  }
  let p0 = tile / tilesQ * tileP;
  let q0 = tile % tilesQ * tileQ;
  let threadP = thread / threadsQ;
  let threadQ = thread % threadsQ;

  // Staging: a thread keeps its four p (and its four q) and walks down the positions.
  let columnA = thread % quadsP;
  let rowA = thread / quadsP;
  let p = p0 + columnA * 4u + vec4u(0, 1, 2, 3);
  let channel = p % inChannels;
  let tap = p / inChannels;
  let taps = Taps(
    tap / filterArea * dilationDepth - padFront,
    select(vec4u(outside), tap / filterWidth % filterHeight * dilationHeight - padTop, p < vec4u(fanIn)),
    tap % filterWidth * dilationWidth - padLeft,
  );
  let columnD = thread % quadsQ;
  let rowD = thread / quadsQ;
  let q = q0 + columnD * 4u;

  var total = array<vec4f, 16>();
  var g = array<vec4f, 16>();
  let first = group.z * samplesPerSlice;
  let last = min(samples, first + samplesPerSlice);
  var aheadA = array<vec4f, 4>();
  var aheadD = array<vec4f, 4>();
  if (prefetch) {
    aheadA = patchesAhead(first, rowA, taps, channel);
    aheadD = deltasAhead(first, rowD, q);
  }
  for (var sample = first; sample < last; sample++) {
    g = array<vec4f, 16>();
    for (var l = 0u; l < positions; l += tileK) {
      if (prefetch) {
        stageA(rowA, columnA, aheadA[0]);
        stageA(rowA + stepA, columnA, aheadA[1]);
        stageA(rowA + 2u * stepA, columnA, aheadA[2]);
        stageA(rowA + 3u * stepA, columnA, aheadA[3]);
        stageD(rowD, columnD, aheadD[0]);
        stageD(rowD + stepD, columnD, aheadD[1]);
        stageD(rowD + 2u * stepD, columnD, aheadD[2]);
        stageD(rowD + 3u * stepD, columnD, aheadD[3]);
      } else {
        for (var k = rowA; k < tileK; k += stepA) {
          stagedA[k * quadsP + columnA] = patch4(sample, l + k, taps, channel);
        }
        for (var k = rowD; k < tileK; k += stepD) {
          stagedD[k * quadsQ + columnD] = delta4(sample, l + k, q);
        }
      }
      workgroupBarrier();
      if (prefetch) {
        // Perhaps the first stage of the next sample.
        let ends = l + tileK >= positions;
        let next = sample + u32(ends);
        let nextL = select(l + tileK, 0u, ends);
        if (next < last) {
          aheadA = patchesAhead(next, nextL + rowA, taps, channel);
          aheadD = deltasAhead(next, nextL + rowD, q);
        }
      }
      for (var k = 0u; k < tileK; k++) {
        let a = stagedA[k * quadsP + threadP];
        let d = stagedD[k * quadsQ + threadQ];
        g[0] = fma(vec4f(a.x), d, g[0]);
        g[1] = fma(vec4f(a.y), d, g[1]);
        g[2] = fma(vec4f(a.z), d, g[2]);
        g[3] = fma(vec4f(a.w), d, g[3]);
        if (wide) {
          let a2 = stagedA[k * quadsP + threadsP + threadP];
          let d2 = stagedD[k * quadsQ + threadsQ + threadQ];
          g[4] = fma(vec4f(a2.x), d, g[4]);
          g[5] = fma(vec4f(a2.y), d, g[5]);
          g[6] = fma(vec4f(a2.z), d, g[6]);
          g[7] = fma(vec4f(a2.w), d, g[7]);
          g[8] = fma(vec4f(a.x), d2, g[8]);
          g[9] = fma(vec4f(a.y), d2, g[9]);
          g[10] = fma(vec4f(a.z), d2, g[10]);
          g[11] = fma(vec4f(a.w), d2, g[11]);
          g[12] = fma(vec4f(a2.x), d2, g[12]);
          g[13] = fma(vec4f(a2.y), d2, g[13]);
          g[14] = fma(vec4f(a2.z), d2, g[14]);
          g[15] = fma(vec4f(a2.w), d2, g[15]);
        }
      }
      workgroupBarrier();
    }
    // Spelled out: with a loop here a compiler may keep the sums in memory instead of registers.
    total[0] += applyPhi(g[0]);
    total[1] += applyPhi(g[1]);
    total[2] += applyPhi(g[2]);
    total[3] += applyPhi(g[3]);
    if (wide) {
      total[4] += applyPhi(g[4]);
      total[5] += applyPhi(g[5]);
      total[6] += applyPhi(g[6]);
      total[7] += applyPhi(g[7]);
      total[8] += applyPhi(g[8]);
      total[9] += applyPhi(g[9]);
      total[10] += applyPhi(g[10]);
      total[11] += applyPhi(g[11]);
      total[12] += applyPhi(g[12]);
      total[13] += applyPhi(g[13]);
      total[14] += applyPhi(g[14]);
      total[15] += applyPhi(g[15]);
    }
  }

  let atP = p0 + threadP * 4u;
  let atQ = q0 + threadQ * 4u;
  store4(group.z, atP, atQ, total[0]);
  store4(group.z, atP + 1u, atQ, total[1]);
  store4(group.z, atP + 2u, atQ, total[2]);
  store4(group.z, atP + 3u, atQ, total[3]);
  if (wide) {
    let atP2 = atP + tileP / 2u;
    let atQ2 = atQ + tileQ / 2u;
    store4(group.z, atP2, atQ, total[4]);
    store4(group.z, atP2 + 1u, atQ, total[5]);
    store4(group.z, atP2 + 2u, atQ, total[6]);
    store4(group.z, atP2 + 3u, atQ, total[7]);
    store4(group.z, atP, atQ2, total[8]);
    store4(group.z, atP + 1u, atQ2, total[9]);
    store4(group.z, atP + 2u, atQ2, total[10]);
    store4(group.z, atP + 3u, atQ2, total[11]);
    store4(group.z, atP2, atQ2, total[12]);
    store4(group.z, atP2 + 1u, atQ2, total[13]);
    store4(group.z, atP2 + 2u, atQ2, total[14]);
    store4(group.z, atP2 + 3u, atQ2, total[15]);
  }
}
