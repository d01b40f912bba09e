// M[row] += sum_b phi(sum of D at the positions of sample b whose id is that row): an embedding's table of rows.
//
// One workgroup an id. The one that meets a row first, in the order of samples and positions, owns the row: it walks all
// later ids, adds up the deltas of those that name its row, and passes through phi where a sample ends. All others leave
// at once. So no two workgroups write the same row, every sum has the order of the positions, and rows that no id names
// cost nothing. Reads of ids are quadratic in the samples times positions of a batch, shared by a workgroup's threads.

override phi: u32; // 0 abs, 1 square, 2 identity
override samples: u32;
override positions: u32;
override rows: u32;
override fanOut: u32;

// Chosen by the plan (src/kernels/webgpu-plan.ts): a power of two from 32.
override threads: u32;

override words = threads / 32u;
override places = samples * positions;

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read> deltas: array<f32>;
@group(0) @binding(2) var<storage, read_write> moment: array<f32>;

var<workgroup> met: atomic<u32>; // the row was met before
var<workgroup> leave: u32;
var<workgroup> matches: array<atomic<u32>, words>; // a bit for each of the next ids

fn applyPhi(g: f32) -> f32 {
  return select(select(g, g * g, phi == 1u), abs(g), phi == 0u);
}

@compute @workgroup_size(threads)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let place = group.y * groups.x + group.x;
  if (place >= places) {
    return;
  }
  let row = ids[place];
  if (row < 0 || u32(row) >= rows) {
    return;
  }
  for (var i = thread; i < place; i += threads) {
    if (ids[i] == row) {
      atomicStore(&met, 1u);
      break;
    }
  }
  workgroupBarrier();
  if (thread == 0u) {
    leave = atomicLoad(&met);
  }
  if (workgroupUniformLoad(&leave) == 1u) {
    return;
  }

  let q = group.z * threads + thread;
  var sampleEnd = (place / positions + 1u) * positions;
  var total = 0.0;
  var g = 0.0;
  for (var start = place; start < places; start += threads) {
    if (thread < words) {
      atomicStore(&matches[thread], 0u);
    }
    workgroupBarrier();
    if (start + thread < places && ids[start + thread] == row) {
      atomicOr(&matches[thread / 32u], 1u << (thread % 32u));
    }
    workgroupBarrier();
    for (var word = 0u; word < words; word++) {
      for (var bits = atomicLoad(&matches[word]); bits != 0u; bits &= bits - 1u) {
        let at = start + word * 32u + countTrailingZeros(bits);
        if (at >= sampleEnd) {
          total += applyPhi(g);
          g = 0.0;
          sampleEnd = (at / positions + 1u) * positions;
        }
        if (q < fanOut) {
          g += deltas[at * fanOut + q];
        }
      }
    }
    workgroupBarrier();
  }
  total += applyPhi(g);
  if (q < fanOut) {
    moment[u32(row) * fanOut + q] += total;
  }
}
