// (hi, lo) += batch with the rounding error kept in lo (Knuth's two-sum), then batch = 0.

override size: u32;

// The only line that the plan changes: vec4f where size is a multiple of four (width = 4), for whole 16-byte accesses.
alias Value = f32;
override width: u32; // elements of a Value

@group(0) @binding(0) var<storage, read_write> batch: array<Value>;
@group(0) @binding(1) var<storage, read_write> hi: array<Value>;
@group(0) @binding(2) var<storage, read_write> lo: array<Value>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + thread;
  if (i >= size / width) {
    return;
  }
  let a = hi[i];
  let b = batch[i];
  let sum = a + b;
  let fromB = sum - a;
  let fromA = sum - fromB;
  hi[i] = sum;
  lo[i] += (a - fromA) + (b - fromB);
  batch[i] = Value(0);
}
