// merged = a*stored + b*incoming, or max(a*stored, b*incoming): how a task's importance joins the memory.

override rule: u32; // 0 linear, 1 max
override size: u32;

// The only line that the plan changes: vec4f where size is a multiple of four (width = 4), for whole 16-byte accesses.
alias Value = f32;
override width: u32; // elements of a Value

struct Scalars {
  storedWeight: f32,
  incomingWeight: f32,
}

@group(0) @binding(0) var<storage, read> stored: array<Value>;
@group(0) @binding(1) var<storage, read> incoming: array<Value>;
@group(0) @binding(2) var<storage, read_write> merged: array<Value>;
@group(0) @binding(3) var<uniform> scalars: Scalars;

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
  let x = scalars.storedWeight * stored[i];
  let y = scalars.incomingWeight * incoming[i];
  merged[i] = select(x + y, max(x, y), rule == 1u);
}
