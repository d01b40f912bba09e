// The ceiling of fp32 arithmetic: 32 chains of multiply-adds in every thread, independent of each other, so that none
// waits for its own last result; four deep in a round, so that the loop costs next to nothing. What they end in is
// written, or a compiler would leave them out.
override rounds: u32;
@group(0) @binding(0) var<storage, read> factors: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> results: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m = factors[0];
  let s = factors[1];
  var a = s * f32(id.x);
  var b = a + s;
  var c = b + s;
  var d = c + s;
  var e = d + s;
  var f = e + s;
  var g = f + s;
  var h = g + s;
  for (var i = 0u; i < rounds; i++) {
    a = fma(fma(fma(fma(a, m, s), m, s), m, s), m, s);
    b = fma(fma(fma(fma(b, m, s), m, s), m, s), m, s);
    c = fma(fma(fma(fma(c, m, s), m, s), m, s), m, s);
    d = fma(fma(fma(fma(d, m, s), m, s), m, s), m, s);
    e = fma(fma(fma(fma(e, m, s), m, s), m, s), m, s);
    f = fma(fma(fma(fma(f, m, s), m, s), m, s), m, s);
    g = fma(fma(fma(fma(g, m, s), m, s), m, s), m, s);
    h = fma(fma(fma(fma(h, m, s), m, s), m, s), m, s);
  }
  results[id.x] = dot(a + b + c + d, vec4f(1)) + dot(e + f + g + h, vec4f(1));
}
