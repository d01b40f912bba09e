// value = lambda * (sum of what the workgroups of penalty_value.wgsl found), in a fixed tree.

override parts: u32;

struct Scalars {
  lambda: f32,
}

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> value: array<f32>;
@group(0) @binding(2) var<uniform> scalars: Scalars;

const threads = 256u;
var<workgroup> sums: array<f32, threads>;

@compute @workgroup_size(threads)
fn main(@builtin(local_invocation_index) thread: u32) {
  var sum = 0.0;
  for (var i = thread; i < parts; i += threads) {
    sum += partial[i];
  }
  sums[thread] = sum;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
    workgroupBarrier();
  }
  if (thread == 0u) {
    value[0] = scalars.lambda * sums[0];
  }
}
