/**
 * One optimizer step on theta with the penalty lambda * sum Omega (theta - theta*)^2 inside.
 *
 * Every operation rounds to 32 bits, in the order of tfjs' own optimizers, so that a step without penalty equals
 * `tf.train.sgd`, `momentum` and `adam` bit for bit. Weight decay is decoupled (Loshchilov and Hutter, ICLR 2019): the
 * optimizer's update starts from (1 - lr * weightDecay) theta, and no moment sees the decay.
 *
 * explicit:  g += 2 lambda Omega (theta - theta*), then the optimizer's update.
 * proximal:  the update on the task gradient alone, decay included, gives theta'; then
 *            theta' -= (theta' - theta*) * k/(1+k) with k = min(2 eta lambda Omega, 1e30) and eta the steady-state step
 *            per unit of gradient: lr for SGD, lr/(1-mu) for momentum, lr/(sqrt(v)+eps) for Adam. Finite for every
 *            lambda; what is held firmly does not shrink.
 */
import type {Body} from './body.js';

const largestPull = Math.fround(1e30);

export const penalized_step: Body<'penalized_step'> = (s, {theta, gradient, importance, anchor, slots, next}) => {
  const {fround, sqrt} = Math;
  const n = s.size;
  const step = fround(-s.learningRate);
  const momentum = fround(s.momentum);
  const beta1 = fround(s.beta1);
  const beta2 = fround(s.beta2);
  const rest1 = fround(1 - s.beta1);
  const rest2 = fround(1 - s.beta2);
  const epsilon = fround(s.epsilon);
  const correction1 = fround(s.correction1);
  const correction2 = fround(s.correction2);
  const kept = fround(1 - s.learningRate * s.weightDecay);
  const twoLambda = fround(2 * s.lambda);
  const steadyStep = fround(s.rule === 'momentum' ? s.learningRate / (1 - s.momentum) : s.learningRate);
  for (let i = 0; i < n; i++) {
    let g = gradient[i];
    if (s.penalized && s.penalty === 'explicit') {
      g = fround(g + fround(fround(twoLambda * importance[i]) * fround(theta[i] - anchor[i])));
    }
    const start = fround(kept * theta[i]);
    let updated: number;
    let eta = steadyStep;
    if (s.rule === 'sgd') {
      updated = fround(fround(step * g) + start);
    } else if (s.rule === 'momentum') {
      const velocity = fround(fround(momentum * slots[i]) + g);
      slots[i] = velocity;
      const direction = s.nesterov ? fround(g + fround(velocity * momentum)) : velocity;
      updated = fround(fround(step * direction) + start);
    } else {
      const m = fround(fround(slots[i] * beta1) + fround(g * rest1));
      const v = fround(fround(slots[n + i] * beta2) + fround(fround(g * g) * rest2));
      slots[i] = m;
      slots[n + i] = v;
      const scale = fround(fround(sqrt(fround(v / correction2))) + epsilon);
      updated = fround(fround(fround(fround(m / correction1) / scale) * step) + start);
      eta = fround(steadyStep / scale);
    }
    if (s.penalized && s.penalty === 'proximal') {
      const k = Math.min(fround(fround(eta * twoLambda) * importance[i]), largestPull);
      updated = fround(updated - fround(fround(updated - anchor[i]) * fround(k / fround(1 + k))));
    }
    next[i] = updated;
  }
};
