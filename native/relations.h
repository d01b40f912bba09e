// What the rows of the kernel table cannot say: relations between parameters without which a kernel would leave its
// memory.
#pragma once
#include <napi.h>

#include "table.h"

namespace engram {

/** @throws Napi::Error with `code` ARGUMENT */
void checkRelations(Napi::Env env, const Row& row, const double* params);

}  // namespace engram
