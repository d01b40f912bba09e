// grad_moment on tensor cores, f16 operands split in two: three products with 32-bit sums, about the accuracy of f32.
//
// x = high + 2^-11 low, both f16 (Ootomo & Yokota 2022, doi 10.1177/10943420221090256): high*high, and in sums of their
// own high*low + low*high, which count 2^-11; low*low is below what f32 keeps. Tensor cores cut off what they cannot
// add, and always towards zero: after `chain` positions the sums go on in ordinary, rounded f32.
//
// As in grad_moment.wgsl a workgroup owns a tile of M and walks its slice of the samples, and l is never split. A
// subgroup of 32 lanes owns 32x32 of the tile as 2x2 matrices. Elements of matrices cannot be reached: they go through
// workgroup memory, and a lane keeps 32 sums. A and D of each sample are scaled by powers of two as in
// grad_moment.f16.wgsl, which says why.

diagnostic(off, chromium.subgroup_matrix_uniformity); // lanes are numbered by division, which is not seen as uniform
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;

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

// Chosen by the plan (src/kernels/webgpu-matrix-plan.ts).
override tileP: u32; // both tile edges are multiples of 32
override tileQ: u32;
override tileK: u32; // positions staged in workgroup memory at a time, a multiple of 16
override padding: u32; // f16 elements behind a staged row: 8 let the rows of a matrix lie in different memory banks
override chain: u32; // positions summed by tensor cores, a multiple of tileK
override samplesPerSlice: u32; // slice z writes the z-th part of the scratch buffer
override parts: u32; // of the largest magnitudes of each operand of a sample
override largestAt: u32; // where these begin in the scratch buffer
override vectorA: bool; // activations4 is bound: 4 neighbouring channels share a filter tap
override vectorD: bool; // deltas4 is bound

override filterArea = filterHeight * filterWidth;
override fanIn = filterDepth * filterArea * inChannels;
override outArea = outHeight * outWidth;
override outPixels = outDepth * outArea;
override positions = uses * outPixels;
// Nothing along the depth to compute, as in all but 3-D convolutions: the branches on it are decided here.
override flat = inDepth == 1u && filterDepth == 1u && outDepth == 1u && padFront == 0u;
override tilesP = (fanIn + tileP - 1u) / tileP;
override tilesQ = (fanOut + tileQ - 1u) / tileQ;
override quadsP = tileP / 4u;
override quadsQ = tileQ / 4u;
override strideA = tileP + padding;
override strideD = tileQ + padding;
override lowA = tileK * strideA; // where the low halves begin
override lowD = tileK * strideD;
override subgroupsQ = tileQ / 32u;
override subgroupCount = tileP / 32u * subgroupsQ;
override threads = subgroupCount * 32u;

@group(0) @binding(0) var<storage, read> activations: array<f32>;
@group(0) @binding(1) var<storage, read> deltas: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<u32>; // partial sums, then the largest magnitudes
@group(0) @binding(3) var<storage, read> activations4: array<vec4f>;
@group(0) @binding(4) var<storage, read> deltas4: array<vec4f>;

var<workgroup> stagedA: array<f16, 2u * lowA>;
var<workgroup> stagedD: array<f16, 2u * lowD>;
var<workgroup> slots: array<f32, subgroupCount * 512u>; // two matrices a subgroup on their way to its lanes

// Begin of matrices: nothing else names them, so that test/subgroup-matrix.ts can put arithmetic in their place.
alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sums = subgroup_matrix_result<f32, 16, 16>;

fn loadA(at: u32) -> Left {
  return subgroupMatrixLoad<Left, col_major>(&stagedA, at, strideA);
}

fn loadD(at: u32) -> Right {
  return subgroupMatrixLoad<Right, row_major>(&stagedD, at, strideD);
}

fn multiplyAdd(a: Left, d: Right, sums: Sums) -> Sums {
  return subgroupMatrixMultiplyAccumulate(a, d, sums);
}

fn storeSums(at: u32, sums: Sums) {
  subgroupMatrixStore<row_major>(&slots, at, sums, 16u);
}
// End of matrices.

// A row that no image has: wrapping sums with it stay above every height, as those before the first pixel stay above
// every depth, height and width.
const outside = 0x80000000u;

// Pixel offsets of the taps of four neighbours along p.
struct Taps {
  z: vec4u,
  y: vec4u,
  x: vec4u,
}

// What A and D of a sample are multiplied by, and the two factors that undo it. One factor could leave the range of f32
// where the product of both does not.
struct Scales {
  a: f32,
  d: f32,
  undo: vec2f,
}

fn powerOfTwo(exponent: i32) -> f32 {
  return bitcast<f32>(u32(exponent + 127) << 23u);
}

fn largest(sample: u32, operand: u32) -> u32 {
  var bits = 0u;
  for (var part = 0u; part < parts; part++) {
    bits = max(bits, scratch[largestAt + (sample * 2u + operand) * parts + part]);
  }
  return bits;
}

fn scalesOf(sample: u32) -> Scales {
  let largestA = largest(sample, 0u);
  let largestD = largest(sample, 1u);
  // 14 less the exponent; 2^126 is the last power whose inverse is no denormal.
  let a = min(141 - i32(largestA >> 23u), 126);
  let d = min(141 - i32(largestD >> 23u), 126);
  let half = -(a + d) >> 1u;
  let bits = max(largestA, largestD);
  let finite = bits < 0x7f800000u;
  let undo = vec2f(select(bitcast<f32>(bits), powerOfTwo(half), finite), powerOfTwo(-(a + d) - half));
  return Scales(powerOfTwo(a), powerOfTwo(d), undo);
}

fn applyPhi(sums: vec4f, undo: vec2f) -> vec4f {
  let g = sums * undo.x * undo.y;
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

// x as f16, and what is left of it.
fn stageA(at: u32, x: vec4f) {
  let high = vec4h(x);
  let low = vec4h((x - vec4f(high)) * 2048);
  stagedA[at] = high.x;
  stagedA[at + 1u] = high.y;
  stagedA[at + 2u] = high.z;
  stagedA[at + 3u] = high.w;
  stagedA[lowA + at] = low.x;
  stagedA[lowA + at + 1u] = low.y;
  stagedA[lowA + at + 2u] = low.z;
  stagedA[lowA + at + 3u] = low.w;
}

fn stageD(at: u32, x: vec4f) {
  let high = vec4h(x);
  let low = vec4h((x - vec4f(high)) * 2048);
  stagedD[at] = high.x;
  stagedD[at + 1u] = high.y;
  stagedD[at + 2u] = high.z;
  stagedD[at + 3u] = high.w;
  stagedD[lowD + at] = low.x;
  stagedD[lowD + at + 1u] = low.y;
  stagedD[lowD + at + 2u] = low.z;
  stagedD[lowD + at + 3u] = low.w;
}

// Every second row of half a matrix: the lanes of a subgroup read 32 neighbours at a time.
fn rows4(at: u32) -> vec4f {
  return vec4f(slots[at], slots[at + 32u], slots[at + 64u], slots[at + 96u]);
}

fn joined4(at: u32) -> vec4f {
  return rows4(at) + rows4(at + 256u) * 0x1p-11;
}

fn put(slice: u32, p: u32, q: u32, value: f32) {
  if (p < fanIn && q < fanOut) {
    scratch[(slice * fanIn + p) * fanOut + q] = bitcast<u32>(value);
  }
}

fn store4(slice: u32, p: u32, q: u32, value: vec4f) {
  put(slice, p, q, value.x);
  put(slice, p + 2u, q, value.y);
  put(slice, p + 4u, q, value.z);
  put(slice, p + 6u, q, value.w);
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
  let lane = thread % 32u;
  let subgroup = thread / 32u;
  let subgroupP = subgroup / subgroupsQ * 32u;
  let subgroupQ = subgroup % subgroupsQ * 32u;
  let slot = subgroup * 512u;

  // Staging: a thread keeps its four p (and its four q) and walks down the positions.
  let columnA = thread % quadsP * 4u;
  let p = p0 + columnA + vec4u(0, 1, 2, 3);
  let channel = p % inChannels;
  let tap = p / inChannels;
  let taps = Taps(
    tap / filterArea * dilationDepth - padFront,
    select(vec4u(outside), tap / filterWidth % filterHeight * dilationHeight - padTop, p < vec4u(fanIn)),
    tap % filterWidth * dilationWidth - padLeft,
  );
  let columnD = thread % quadsQ * 4u;
  let q = q0 + columnD;

  var total = array<vec4f, 8>();
  var g = array<vec4f, 8>();
  let first = group.z * samplesPerSlice;
  let last = min(samples, first + samplesPerSlice);
  for (var sample = first; sample < last; sample++) {
    let scales = scalesOf(sample);
    g = array<vec4f, 8>();
    for (var start = 0u; start < positions; start += chain) {
      var m00 = Sums();
      var m01 = Sums();
      var m10 = Sums();
      var m11 = Sums();
      var c00 = Sums();
      var c01 = Sums();
      var c10 = Sums();
      var c11 = Sums();
      for (var l = start; l < min(positions, start + chain); l += tileK) {
        for (var k = thread / quadsP; k < tileK; k += threads / quadsP) {
          stageA(k * strideA + columnA, patch4(sample, l + k, taps, channel) * scales.a);
        }
        for (var k = thread / quadsQ; k < tileK; k += threads / quadsQ) {
          stageD(k * strideD + columnD, delta4(sample, l + k, q) * scales.d);
        }
        workgroupBarrier();
        for (var k = 0u; k < min(tileK, positions - l); k += 16u) {
          let atA = k * strideA + subgroupP;
          let atD = k * strideD + subgroupQ;
          let a0 = loadA(atA);
          let a1 = loadA(atA + 16u);
          let d0 = loadD(atD);
          let d1 = loadD(atD + 16u);
          let lowA0 = loadA(lowA + atA);
          let lowA1 = loadA(lowA + atA + 16u);
          let lowD0 = loadD(lowD + atD);
          let lowD1 = loadD(lowD + atD + 16u);
          m00 = multiplyAdd(a0, d0, m00);
          m01 = multiplyAdd(a0, d1, m01);
          m10 = multiplyAdd(a1, d0, m10);
          m11 = multiplyAdd(a1, d1, m11);
          c00 = multiplyAdd(a0, lowD0, c00);
          c01 = multiplyAdd(a0, lowD1, c01);
          c10 = multiplyAdd(a1, lowD0, c10);
          c11 = multiplyAdd(a1, lowD1, c11);
          c00 = multiplyAdd(lowA0, d0, c00);
          c01 = multiplyAdd(lowA0, d1, c01);
          c10 = multiplyAdd(lowA1, d0, c10);
          c11 = multiplyAdd(lowA1, d1, c11);
        }
        workgroupBarrier();
      }
      storeSums(slot, m00);
      storeSums(slot + 256u, c00);
      workgroupBarrier();
      g[0] += joined4(slot + lane);
      g[1] += joined4(slot + 128u + lane);
      workgroupBarrier();
      storeSums(slot, m01);
      storeSums(slot + 256u, c01);
      workgroupBarrier();
      g[2] += joined4(slot + lane);
      g[3] += joined4(slot + 128u + lane);
      workgroupBarrier();
      storeSums(slot, m10);
      storeSums(slot + 256u, c10);
      workgroupBarrier();
      g[4] += joined4(slot + lane);
      g[5] += joined4(slot + 128u + lane);
      workgroupBarrier();
      storeSums(slot, m11);
      storeSums(slot + 256u, c11);
      workgroupBarrier();
      g[6] += joined4(slot + lane);
      g[7] += joined4(slot + 128u + lane);
    }
    // Spelled out: with a loop here a compiler may keep the sums in memory instead of registers.
    total[0] += applyPhi(g[0], scales.undo);
    total[1] += applyPhi(g[1], scales.undo);
    total[2] += applyPhi(g[2], scales.undo);
    total[3] += applyPhi(g[3], scales.undo);
    total[4] += applyPhi(g[4], scales.undo);
    total[5] += applyPhi(g[5], scales.undo);
    total[6] += applyPhi(g[6], scales.undo);
    total[7] += applyPhi(g[7], scales.undo);
  }

  let atP = p0 + subgroupP + lane / 16u;
  let atQ = q0 + subgroupQ + lane % 16u;
  store4(group.z, atP, atQ, total[0]);
  store4(group.z, atP + 8u, atQ, total[1]);
  store4(group.z, atP, atQ + 16u, total[2]);
  store4(group.z, atP + 8u, atQ + 16u, total[3]);
  store4(group.z, atP + 16u, atQ, total[4]);
  store4(group.z, atP + 24u, atQ, total[5]);
  store4(group.z, atP + 16u, atQ + 16u, total[6]);
  store4(group.z, atP + 24u, atQ + 16u, total[7]);
}
