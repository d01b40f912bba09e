// count += number of NaN and Infinity among the values. The values are read as bits: a GPU may drop NaN in arithmetic.

override size: u32;
override groupsTotal: u32; // workgroups of the dispatch, chosen by the plan

@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> count: atomic<u32>;

const exponent = 0x7f800000u; // all ones in NaN and Infinity only
var<workgroup> found: atomic<u32>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  var mine = 0u;
  for (var i = (group.y * groups.x + group.x) * 256u + thread; i < size; i += groupsTotal * 256u) {
    mine += select(0u, 1u, (values[i] & exponent) == exponent);
  }
  // A whole-number sum is the same in any order, so atomics are safe here.
  if (mine > 0u) {
    atomicAdd(&found, mine);
  }
  workgroupBarrier();
  if (thread == 0u) {
    let all = atomicLoad(&found);
    if (all > 0u) {
      atomicAdd(&count, all);
    }
  }
}
