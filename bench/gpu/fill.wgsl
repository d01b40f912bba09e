// Numbers in (-0.5, 0.5) that look random: zeros would draw less power, and a GPU that draws less clocks higher.
@group(0) @binding(0) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < arrayLength(&values); i += 256u * groups.x) {
    var x = (i ^ 0x9e3779b9u) * 0x85ebca6bu;
    x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
    x = x ^ (x >> 16u);
    values[i] = f32(x >> 8u) / 16777216.0 - 0.5;
  }
}
