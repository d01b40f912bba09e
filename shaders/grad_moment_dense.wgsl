// M[p,q] += sum_b phi(A[b,p]) phi(D[b,q]): with one position, phi of the product is the product of the phi.
//
// A matrix product over the samples: tiles of M in registers, samples staged in workgroup memory, micro x micro sums a
// thread. Here the sum itself may be cut, so slices of the samples go to different workgroups where M has few tiles.

override phi: u32; // 0 abs, 1 square, 2 identity
override samples: u32;
override fanIn: u32;
override fanOut: u32;

// Chosen by the plan (src/kernels/webgpu-tilings.ts).
override tileP: u32; // both tile edges are multiples of 16 where micro is 8, of 4 where it is 4
override tileQ: u32;
override tileK: u32; // samples staged in workgroup memory at a time
override micro: u32;
override samplesPerSlice: u32;
override prefetch: bool; // the next stage is read into registers while the present one is computed
override accumulate: bool; // add to moment; otherwise slice z writes the z-th part of a scratch buffer
override vectorA: bool; // activations4 is bound
override vectorD: bool; // deltas4 is bound

override wide = micro == 8u;
override tilesP = (fanIn + tileP - 1u) / tileP;
override tilesQ = (fanOut + tileQ - 1u) / tileQ;
override quadsP = tileP / 4u;
override quadsQ = tileQ / 4u;
override threadsP = tileP / micro;
override threadsQ = tileQ / micro;
override threads = threadsP * threadsQ;
// Samples that all threads together stage at once. Those who read ahead have registers for four times as many.
override stepA = threads / quadsP;
override stepD = threads / quadsQ;

@group(0) @binding(0) var<storage, read> activations: array<f32>;
@group(0) @binding(1) var<storage, read> deltas: array<f32>;
@group(0) @binding(2) var<storage, read_write> moment: array<f32>;
@group(0) @binding(3) var<storage, read> activations4: array<vec4f>;
@group(0) @binding(4) var<storage, read> deltas4: array<vec4f>;

var<workgroup> stagedA: array<vec4f, tileK * quadsP>;
var<workgroup> stagedD: array<vec4f, tileK * quadsQ>;

fn applyPhi(g: vec4f) -> vec4f {
  return select(select(g, g * g, phi == 1u), abs(g), phi == 0u);
}

fn activation4(sample: u32, p: u32, last: u32) -> vec4f {
  if (sample >= last || p >= fanIn) {
    return vec4f(0);
  }
  let at = sample * fanIn + p;
  if (vectorA) {
    return activations4[at / 4u];
  }
  let inside = vec4u(p, p + 1u, p + 2u, p + 3u) < vec4u(fanIn);
  let i = select(vec4u(at), vec4u(at, at + 1u, at + 2u, at + 3u), inside);
  return select(vec4f(0), vec4f(activations[i.x], activations[i.y], activations[i.z], activations[i.w]), inside);
}

fn delta4(sample: u32, q: u32, last: u32) -> vec4f {
  if (sample >= last || q >= fanOut) {
    return vec4f(0);
  }
  let at = sample * fanOut + q;
  if (vectorD) {
    return deltas4[at / 4u];
  }
  let inside = vec4u(q, q + 1u, q + 2u, q + 3u) < vec4u(fanOut);
  let i = select(vec4u(at), vec4u(at, at + 1u, at + 2u, at + 3u), inside);
  return select(vec4f(0), vec4f(deltas[i.x], deltas[i.y], deltas[i.z], deltas[i.w]), inside);
}

// A thread's share of the stage that begins at a sample.
fn activationsAhead(sample: u32, p: u32, last: u32) -> array<vec4f, 4> {
  var ahead = array<vec4f, 4>();
  ahead[0] = activation4(sample, p, last);
  if (stepA < tileK) { ahead[1] = activation4(sample + stepA, p, last); }
  if (2u * stepA < tileK) { ahead[2] = activation4(sample + 2u * stepA, p, last); }
  if (3u * stepA < tileK) { ahead[3] = activation4(sample + 3u * stepA, p, last); }
  return ahead;
}

fn deltasAhead(sample: u32, q: u32, last: u32) -> array<vec4f, 4> {
  var ahead = array<vec4f, 4>();
  ahead[0] = delta4(sample, q, last);
  if (stepD < tileK) { ahead[1] = delta4(sample + stepD, q, last); }
  if (2u * stepD < tileK) { ahead[2] = delta4(sample + 2u * stepD, q, last); }
  if (3u * stepD < tileK) { ahead[3] = delta4(sample + 3u * stepD, q, last); }
  return ahead;
}

fn stageA(k: u32, column: u32, value: vec4f) {
  if (k < tileK) { stagedA[k * quadsP + column] = applyPhi(value); }
}

fn stageD(k: u32, column: u32, value: vec4f) {
  if (k < tileK) { stagedD[k * quadsQ + column] = applyPhi(value); }
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
  let columnA = thread % quadsP;
  let rowA = thread / quadsP;
  let p = p0 + columnA * 4u;
  let columnD = thread % quadsQ;
  let rowD = thread / quadsQ;
  let q = q0 + columnD * 4u;

  var total = array<vec4f, 16>();
  let first = group.z * samplesPerSlice;
  let last = min(samples, first + samplesPerSlice);
  var aheadA = array<vec4f, 4>();
  var aheadD = array<vec4f, 4>();
  if (prefetch) {
    aheadA = activationsAhead(first + rowA, p, last);
    aheadD = deltasAhead(first + rowD, q, last);
  }
  for (var sample = first; sample < last; sample += tileK) {
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
        stagedA[k * quadsP + columnA] = applyPhi(activation4(sample + k, p, last));
      }
      for (var k = rowD; k < tileK; k += stepD) {
        stagedD[k * quadsQ + columnD] = applyPhi(delta4(sample + k, q, last));
      }
    }
    workgroupBarrier();
    if (prefetch) {
      aheadA = activationsAhead(sample + tileK + rowA, p, last);
      aheadD = deltasAhead(sample + tileK + rowD, q, last);
    }
    for (var k = 0u; k < tileK; k++) {
      let a = stagedA[k * quadsP + threadP];
      let d = stagedD[k * quadsQ + threadQ];
      total[0] = fma(vec4f(a.x), d, total[0]);
      total[1] = fma(vec4f(a.y), d, total[1]);
      total[2] = fma(vec4f(a.z), d, total[2]);
      total[3] = fma(vec4f(a.w), d, total[3]);
      if (wide) {
        let a2 = stagedA[k * quadsP + threadsP + threadP];
        let d2 = stagedD[k * quadsQ + threadsQ + threadQ];
        total[4] = fma(vec4f(a2.x), d, total[4]);
        total[5] = fma(vec4f(a2.y), d, total[5]);
        total[6] = fma(vec4f(a2.z), d, total[6]);
        total[7] = fma(vec4f(a2.w), d, total[7]);
        total[8] = fma(vec4f(a.x), d2, total[8]);
        total[9] = fma(vec4f(a.y), d2, total[9]);
        total[10] = fma(vec4f(a.z), d2, total[10]);
        total[11] = fma(vec4f(a.w), d2, total[11]);
        total[12] = fma(vec4f(a2.x), d2, total[12]);
        total[13] = fma(vec4f(a2.y), d2, total[13]);
        total[14] = fma(vec4f(a2.z), d2, total[14]);
        total[15] = fma(vec4f(a2.w), d2, total[15]);
      }
    }
    workgroupBarrier();
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
