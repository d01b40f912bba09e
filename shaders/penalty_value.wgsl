// sum Omega (theta - theta*)^2 over each workgroup's share of the parameters. `value` is bound to a scratch buffer with
// one element a workgroup; penalty_value.total.wgsl adds them up and multiplies by lambda.

override size: u32;
override groupsTotal: u32; // workgroups of the dispatch, chosen by the plan

@group(0) @binding(0) var<storage, read> theta: array<f32>;
@group(0) @binding(1) var<storage, read> importance: array<f32>;
@group(0) @binding(2) var<storage, read> anchor: array<f32>;
@group(0) @binding(3) var<storage, read_write> value: array<f32>;

const threads = 256u;
var<workgroup> sums: array<f32, threads>;

@compute @workgroup_size(threads)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let index = group.y * groups.x + group.x;
  var sum = 0.0;
  for (var i = index * threads + thread; i < size; i += groupsTotal * threads) {
    let away = theta[i] - anchor[i];
    sum = fma(importance[i], away * away, sum);
  }
  sums[thread] = sum;
  workgroupBarrier();
  for (var half = threads / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
    workgroupBarrier();
  }
  if (thread == 0u && index < groupsTotal) {
    value[index] = sums[0];
  }
}
