// One optimizer step on theta with the penalty lambda * sum Omega (theta - theta*)² inside. Every operation rounds to
// 32 bits in the order of the reference (and of tfjs' own optimizers): the results are theirs, bit for bit.
#pragma once
#include "../core/parallel.h"
#include "../kernel_table.h"

namespace engram::ENGRAM_ISA {

enum class Pull { none, explicit_, proximal };

/** The step's constants, rounded once. */
struct StepConstants {
  float step, momentum, beta1, beta2, rest1, rest2, epsilon, correction1, correction2, kept, twoLambda, steadyStep;
};

template <penalized_step_rule rule, Pull pull, bool nesterov>
static void stepRange(const penalized_step_call& s, const StepConstants& constants, int64_t from, int64_t to) {
  const StepConstants c = constants;
  const float *__restrict theta = s.theta, *__restrict gradient = s.gradient;
  const float *__restrict importance = s.importance, *__restrict anchor = s.anchor;
  float *__restrict first = s.slots, *__restrict second = s.slots + (rule == penalized_step_rule::adam ? s.size : 0);
  float* __restrict next = s.next;
  ENGRAM_INDEPENDENT
  for (int64_t i = from; i < to; ++i) {
    float g = gradient[i];
    if (pull == Pull::explicit_) g = g + (c.twoLambda * importance[i]) * (theta[i] - anchor[i]);
    const float start = c.kept * theta[i];  // what weight decay leaves; all of it without
    float updated, eta = c.steadyStep;
    if (rule == penalized_step_rule::sgd) {
      updated = c.step * g + start;
    } else if (rule == penalized_step_rule::momentum) {
      const float velocity = c.momentum * first[i] + g;
      first[i] = velocity;
      const float direction = nesterov ? g + velocity * c.momentum : velocity;
      updated = c.step * direction + start;
    } else {
      const float m = first[i] * c.beta1 + g * c.rest1;
      const float v = second[i] * c.beta2 + (g * g) * c.rest2;
      first[i] = m;
      second[i] = v;
      const float scale = __builtin_sqrtf(v / c.correction2) + c.epsilon;
      updated = ((m / c.correction1) / scale) * c.step + start;
      eta = c.steadyStep / scale;
    }
    if (pull == Pull::proximal) {
      const float wanted = (eta * c.twoLambda) * importance[i];
      const float k = wanted > 1e30f ? 1e30f : wanted;  // NaN stays NaN
      updated = updated - (updated - anchor[i]) * (k / (1 + k));
    }
    next[i] = updated;
  }
}

using StepRange = void (*)(const penalized_step_call&, const StepConstants&, int64_t, int64_t);

template <Pull pull>
static StepRange stepOf(penalized_step_rule rule, bool nesterov) {
  switch (rule) {
    case penalized_step_rule::sgd:
      return stepRange<penalized_step_rule::sgd, pull, false>;
    case penalized_step_rule::momentum:
      return nesterov ? stepRange<penalized_step_rule::momentum, pull, true>
                      : stepRange<penalized_step_rule::momentum, pull, false>;
    default:
      return stepRange<penalized_step_rule::adam, pull, false>;
  }
}

static inline void penalized_step(const penalized_step_call& s) {
  const auto f32 = [](double x) { return static_cast<float>(x); };
  const bool momentum = s.rule == penalized_step_rule::momentum;
  const StepConstants constants{f32(-s.learningRate),
                                f32(s.momentum),
                                f32(s.beta1),
                                f32(s.beta2),
                                f32(1 - s.beta1),
                                f32(1 - s.beta2),
                                f32(s.epsilon),
                                f32(s.correction1),
                                f32(s.correction2),
                                f32(1 - s.learningRate * s.weightDecay),
                                f32(2 * s.lambda),
                                f32(momentum ? s.learningRate / (1 - s.momentum) : s.learningRate)};
  const StepRange range = !s.penalized ? stepOf<Pull::none>(s.rule, s.nesterov)
                          : s.penalty == penalized_step_penalty::proximal
                              ? stepOf<Pull::proximal>(s.rule, s.nesterov)
                              : stepOf<Pull::explicit_>(s.rule, s.nesterov);
  parallelRanges(s.size, 16, [&](int64_t from, int64_t to) { range(s, constants, from, to); });
}

}  // namespace engram::ENGRAM_ISA
