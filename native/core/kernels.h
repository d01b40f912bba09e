// Every kernel, once more for the instruction set whose simd header was included before this file.
#include "../backend/arg_reduce.h"
#include "../backend/batch_norm.h"
#include "../backend/binary.h"
#include "../backend/conv2d.h"
#include "../backend/conv2d_input.h"
#include "../backend/matmul.h"
#include "../backend/max_pool.h"
#include "../backend/reduce.h"
#include "../backend/softmax.h"
#include "../backend/unary.h"
#include "../kernels/count_nonfinite.h"
#include "../kernels/fold.h"
#include "../kernels/grad_moment.h"
#include "../kernels/grad_moment_dense.h"
#include "../kernels/grad_moment_depthwise.h"
#include "../kernels/grad_moment_gather.h"
#include "../kernels/grad_moment_sum.h"
#include "../kernels/merge.h"
#include "../kernels/output_norm.h"
#include "../kernels/penalized_step.h"
#include "../kernels/penalty_value.h"
#include "instruction_set.h"

#define ENGRAM_ENTRY(kernel) ENGRAM_ISA::kernel,
#define ENGRAM_SET(set, name) \
  const InstructionSet set = {name, ENGRAM_KERNELS(ENGRAM_ENTRY) ENGRAM_OPERATIONS(ENGRAM_ENTRY)};
