// (hi, lo) += batch with the rounding error kept in lo (Knuth's two-sum), then batch = 0.

override size: u32;

@group(0) @binding(0) var<storage, read_write> batch: array<f32>;
@group(0) @binding(1) var<storage, read_write> hi: array<f32>;
@group(0) @binding(2) var<storage, read_write> lo: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + thread;
  if (i >= size) {
    return;
  }
  let a = hi[i];
  let b = batch[i];
  let sum = a + b;
  let fromB = sum - a;
  let fromA = sum - fromB;
  hi[i] = sum;
  lo[i] += (a - fromA) + (b - fromB);
  batch[i] = 0.0;
}
