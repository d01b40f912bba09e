// largest[sample, operand, part] = the bits of the largest |x| in one part of A (operand 0) or D (operand 1) of a sample.
//
// From it the matrix variants of grad_moment take the powers of two that bring a sample into the range of f16. Bits of
// magnitudes are ordered as the magnitudes are, with Infinity and NaN above all others: nothing gets lost in arithmetic.

override samples: u32;
override sizeA: u32; // elements of a sample
override sizeD: u32;

// Chosen by the plan (src/kernels/webgpu-matrix-plan.ts).
override parts: u32; // of each operand of a sample, so that the reading fills a GPU
override largestAt: u32; // where largest begins in the scratch buffer, behind the partial sums

@group(0) @binding(0) var<storage, read> activations: array<f32>;
@group(0) @binding(1) var<storage, read> deltas: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<u32>;

var<workgroup> found: array<u32, 256>;

fn magnitude(operand: u32, at: u32) -> u32 {
  if (operand == 0u) {
    return bitcast<u32>(activations[at]) & 0x7fffffffu;
  }
  return bitcast<u32>(deltas[at]) & 0x7fffffffu;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = group.y * groups.x + group.x;
  if (index >= samples * 2u * parts) {
    return;
  }
  let part = index % parts;
  let operand = index / parts % 2u;
  let sample = index / (2u * parts);
  let size = select(sizeD, sizeA, operand == 0u);
  let last = size - 1u;
  let base = sample * size;
  var bits = 0u;
  // Four readings at once; those beyond the end meet the last element again, which changes no maximum.
  for (var i = part * 1024u + thread; i < size; i += parts * 1024u) {
    bits = max(bits, magnitude(operand, base + i));
    bits = max(bits, magnitude(operand, base + min(i + 256u, last)));
    bits = max(bits, magnitude(operand, base + min(i + 512u, last)));
    bits = max(bits, magnitude(operand, base + min(i + 768u, last)));
  }
  found[thread] = bits;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (thread < half) {
      found[thread] = max(found[thread], found[thread + half]);
    }
    workgroupBarrier();
  }
  if (thread == 0u) {
    scratch[largestAt + index] = found[0];
  }
}
