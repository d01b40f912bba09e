// One optimizer step on theta with the penalty lambda * sum Omega (theta - theta*)^2 inside; the operations and their
// order are those of src/kernels/reference/penalized_step.ts.
//
// Weight decay is decoupled: the optimizer's update starts from (1 - learningRate * weightDecay) theta.
// explicit:  g += 2 lambda Omega (theta - theta*), then the optimizer's update.
// proximal:  the update on the task gradient alone, decay included, gives theta'; then
//            theta' -= (theta' - theta*) * k/(1+k) with k = min(2 eta lambda Omega, 1e30) and eta the steady-state step
//            per unit of gradient.

override rule: u32; // 0 sgd, 1 momentum, 2 adam
override penalty: u32; // 0 explicit, 1 proximal
override size: u32;
override penalized: u32; // 0: importance and anchor are not read
override slotCount: u32; // 0 for sgd, 1 for momentum (velocity), 2 for adam (m, then v)
override nesterov: u32;

// The only line that the plan changes: vec4f where size is a multiple of four (width = 4), for whole 16-byte accesses.
alias Value = f32;
override width: u32; // elements of a Value

override inPlace: bool; // theta is not bound: next holds it, and then the step

override isExplicit = penalized == 1u && penalty == 0u;
override isProximal = penalized == 1u && penalty == 1u;

struct Scalars {
  learningRate: f32,
  momentum: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  correction1: f32,
  correction2: f32,
  weightDecay: f32,
  lambda: f32,
  // Differences from 1 are taken in float64 by the plan: 1 - 0.999 is off by 5e-5 in 32 bits.
  rest1: f32, // 1 - beta1
  rest2: f32, // 1 - beta2
  steadyStep: f32, // learningRate, or learningRate / (1 - momentum)
  kept: f32, // 1 - learningRate * weightDecay
}

@group(0) @binding(0) var<storage, read> theta: array<Value>;
@group(0) @binding(1) var<storage, read> gradient: array<Value>;
@group(0) @binding(2) var<storage, read> importance: array<Value>;
@group(0) @binding(3) var<storage, read> anchor: array<Value>;
@group(0) @binding(4) var<storage, read_write> slots: array<Value>;
@group(0) @binding(5) var<storage, read_write> next: array<Value>;
@group(0) @binding(6) var<uniform> scalars: Scalars;

const largestPull = 1e30f;

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
  let step = -scalars.learningRate;
  let twoLambda = 2.0 * scalars.lambda;
  var old = Value(0);
  if (inPlace) {
    old = next[i];
  } else {
    old = theta[i];
  }
  var g = gradient[i];
  if (isExplicit) {
    g += (twoLambda * importance[i]) * (old - anchor[i]);
  }

  let start = scalars.kept * old;
  var updated = Value(0);
  var eta = Value(scalars.steadyStep);
  if (rule == 0u) {
    updated = step * g + start;
  } else if (rule == 1u) {
    let velocity = scalars.momentum * slots[i] + g;
    slots[i] = velocity;
    let direction = select(velocity, g + velocity * scalars.momentum, nesterov == 1u);
    updated = step * direction + start;
  } else {
    let m = slots[i] * scalars.beta1 + g * scalars.rest1;
    let v = slots[size / width + i] * scalars.beta2 + (g * g) * scalars.rest2;
    slots[i] = m;
    slots[size / width + i] = v;
    let scale = sqrt(v / scalars.correction2) + scalars.epsilon;
    updated = ((m / scalars.correction1) / scale) * step + start;
    eta = scalars.steadyStep / scale;
  }

  if (isProximal) {
    let k = min((eta * twoLambda) * importance[i], Value(largestPull));
    updated -= (updated - anchor[i]) * (k / (1.0 + k));
  }
  next[i] = updated;
}
