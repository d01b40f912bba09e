// s_b = ||F(x_b)||^2 and its derivative 2F, the seed of the backward pass. One workgroup a sample, a fixed tree of sums.

override samples: u32;
override outputs: u32;

@group(0) @binding(0) var<storage, read> outputValues: array<f32>;
@group(0) @binding(1) var<storage, read_write> norms: array<f32>;
@group(0) @binding(2) var<storage, read_write> seed: array<f32>;

const threads = 64u;
var<workgroup> sums: array<f32, threads>;

@compute @workgroup_size(threads)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let sample = group.y * groups.x + group.x;
  if (sample >= samples) {
    return;
  }
  var norm = 0.0;
  for (var k = thread; k < outputs; k += threads) {
    let f = outputValues[sample * outputs + k];
    norm = fma(f, f, norm);
    seed[sample * outputs + k] = 2.0 * f;
  }
  sums[thread] = norm;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
    workgroupBarrier();
  }
  if (thread == 0u) {
    norms[sample] = sums[0];
  }
}
