// Relations between parameters of a row, by name; where a row has them is looked up once for all calls.
#include "relations.h"

#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <unordered_map>

#include "arguments.h"
#include "kernel_table.h"

namespace engram {
namespace {

/** Parameters that relations are about; those of an axis in one order. */
#define ENGRAM_RELATED(X)                                                                  \
  X(outDepth) X(strideDepth) X(filterDepth) X(dilationDepth) X(inDepth)                     \
  X(outHeight) X(strideHeight) X(filterHeight) X(dilationHeight) X(inHeight)                \
  X(outWidth) X(strideWidth) X(filterWidth) X(dilationWidth) X(inWidth)                     \
  X(alignCorners) X(batch) X(batchA) X(batchB) X(rows) X(slopeRows)                         \
  X(size) X(meanSize) X(varianceSize) X(scaleSize) X(offsetSize)                            \
  X(count0) X(count1) X(count2) X(count3) X(count4) X(count5) X(toSize) X(slotCount) X(rule)
#define ENGRAM_NAME(name) name,
#define ENGRAM_STRING(name) #name,
enum Name { ENGRAM_RELATED(ENGRAM_NAME) nameCount };
constexpr const char* names[] = {ENGRAM_RELATED(ENGRAM_STRING)};
#undef ENGRAM_NAME
#undef ENGRAM_STRING

/** What a row has to do with the relations: where each parameter is, -1 where there is none. */
struct Related {
  std::array<int, nameCount> at;
  bool needsStride, numbersPixels;
};

Related relatedOf(const Row& row) {
  const std::string_view kernel = row.name;
  Related related;
  related.needsStride = kernel == "conv2d_input" || kernel == "conv3d_input" || kernel == "depthwise_conv2d_input" ||
                        kernel == "avg_pool_gradient";
  related.numbersPixels = kernel == "max_pool_gradient";
  related.at.fill(-1);
  for (int name = 0; name < nameCount; ++name) {
    for (int i = 0; i < row.paramCount; ++i) {
      if (row.params[i].name == std::string_view(names[name])) related.at[static_cast<size_t>(name)] = i;
    }
  }
  return related;
}

/** Of all rows, looked up once: names are compared in no call. */
const Related& related(const Row& row) {
  static const auto all = [] {
    std::unordered_map<std::string_view, Related> found;
    for (const Row& each : kernelRows) found.emplace(each.name, relatedOf(each));
    for (const Row& each : operationRows) found.emplace(each.name, relatedOf(each));
    return found;
  }();
  return all.at(row.name);
}

}  // namespace

void checkRelations(Napi::Env env, const Row& row, const double* params) {
  const Related& here = related(row);
  // NaN compares false with everything: a relation does not concern a row without its parameters.
  const auto value = [&](int name) {
    const int at = here.at[static_cast<size_t>(name)];
    return at < 0 ? std::nan("") : params[at];
  };
  const auto refuse = [&](const std::string& expected, double received) {
    throw refusal(env, "ARGUMENT", std::string(row.name) + "." + expected, number(received),
                  "Check the parameters against each other.");
  };
  for (const int axis : {outDepth, outHeight, outWidth}) {
    const double stride = value(axis + 1);
    const double reach = value(axis) * stride + value(axis + 2) * value(axis + 3) + value(axis + 4);
    if (reach > 9e15) refuse(std::string(names[axis]) + " x stride + filter x dilation to be below 2^53", reach);
    if (here.needsStride && stride < 1) refuse(std::string(names[axis + 1]) + " to be at least 1", stride);
  }
  if (here.numbersPixels) {
    const double pixels = value(inDepth) * value(inHeight) * value(inWidth);
    if (!(pixels < 2147483648.0)) refuse("images of fewer than 2^31 pixels", pixels);
  }
  const auto demandOne = [&](int name) {
    if (value(name) < 1) refuse(std::string(names[name]) + " to be at least 1", value(name));
  };
  if (value(alignCorners) >= 0) {
    for (const int name : {inHeight, inWidth}) demandOne(name);
  }
  if (value(batch) > 0) {
    for (const int name : {batchA, batchB}) demandOne(name);
  }
  if (value(rows) > 0) demandOne(slopeRows);
  if (value(size) > 0) {
    for (const int name : {meanSize, varianceSize, scaleSize, offsetSize}) demandOne(name);
  }
  double walked = 1;
  for (int count = count0; count <= count5; ++count) walked *= value(count);
  if (walked > value(toSize)) refuse("to to be walked once at most: no more counts than elements", walked);
  const double slots = value(slotCount);
  if (!std::isnan(slots) && slots != value(rule)) {
    refuse("slotCount to be 0 for sgd, 1 for momentum, 2 for adam", slots);
  }
}

}  // namespace engram
