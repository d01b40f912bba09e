// moment[i] += sum_z partial[z,i] (or = that), in the order of z: joins the slices of grad_moment, grad_moment_dense,
// grad_moment_sum and grad_moment_depthwise where the samples were split between workgroups.

override size: u32; // elements of moment
override slices: u32;
override accumulate: bool; // add to moment

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> moment: array<f32>;

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
  var total = 0.0;
  for (var z = 0u; z < slices; z++) {
    total += partial[z * size + i];
  }
  if (accumulate) {
    total += moment[i];
  }
  moment[i] = total;
}
