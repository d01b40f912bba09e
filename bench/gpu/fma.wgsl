// The ceiling of fp32 arithmetic: 32 chains of multiply-adds in every thread, independent of each other, so that none
// waits for its own last result. What they end in is written, or a compiler would leave them out.
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
    a = fma(a, m, s);
    b = fma(b, m, s);
    c = fma(c, m, s);
    d = fma(d, m, s);
    e = fma(e, m, s);
    f = fma(f, m, s);
    g = fma(g, m, s);
    h = fma(h, m, s);
  }
  results[id.x] = dot(a + b + c + d, vec4f(1)) + dot(e + f + g + h, vec4f(1));
}
