// Copy bandwidth: every thread moves `each` vectors, neighbours of a workgroup side by side.
override each: u32 = 4;
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * 256u * each + lane;
  for (var i = 0u; i < each; i++) {
    let at = first + 256u * i;
    if (at < arrayLength(&source)) {
      target_[at] = source[at];
    }
  }
}
