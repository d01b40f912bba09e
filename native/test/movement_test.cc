// Operations that move words, on every instruction set of this machine: by hand, and random walks against plain loops.
#include <cstdlib>

#include "../core/instruction_set.h"
#include "../core/pool.h"
#include "check.h"

using namespace engram;

namespace {

using Words = std::vector<uint32_t>;

void checkWords(const Words& got, const Words& truth, const std::string& what) {
  for (size_t i = 0; i < truth.size(); ++i) {
    if (got[i] == truth[i]) continue;
    check(false, what + " [" + std::to_string(i) + "]: " + std::to_string(got[i]) + ", not " + std::to_string(truth[i]));
    return;
  }
}

struct Axis {
  int64_t count, from, to;
};

copy_call callOf(const std::vector<Axis>& axes, int64_t fromStart, int64_t toStart) {
  copy_call s{};
  int64_t* const counts[] = {&s.count0, &s.count1, &s.count2, &s.count3, &s.count4, &s.count5};
  int64_t* const froms[] = {&s.from0, &s.from1, &s.from2, &s.from3, &s.from4, &s.from5};
  int64_t* const tos[] = {&s.to0, &s.to1, &s.to2, &s.to3, &s.to4, &s.to5};
  for (size_t k = 0; k < 6; ++k) {
    const bool given = k + axes.size() >= 6;
    const Axis axis = given ? axes[k + axes.size() - 6] : Axis{1, 0, 0};
    *counts[k] = axis.count;
    *froms[k] = axis.from;
    *tos[k] = axis.to;
  }
  s.fromStart = fromStart;
  s.toStart = toStart;
  return s;
}

/** The same copy by plain loops, and on one thread and three. */
void testCopy(const InstructionSet& set, const std::vector<Axis>& axes, int64_t fromStart, size_t fromSize,
              int64_t toStart, size_t toSize, const std::string& what) {
  Words from(fromSize), truth(toSize, 7);
  for (size_t i = 0; i < fromSize; ++i) from[i] = static_cast<uint32_t>(i * 2654435761u);
  int64_t all = 1;
  for (const Axis& axis : axes) all *= axis.count;
  for (int64_t i = 0; i < all; ++i) {
    int64_t rest = i, at = fromStart, to = toStart;
    for (size_t k = axes.size(); k-- > 0;) {
      at += rest % axes[k].count * axes[k].from;
      to += rest % axes[k].count * axes[k].to;
      rest /= axes[k].count;
    }
    truth[static_cast<size_t>(to)] = from[static_cast<size_t>(at)];
  }
  for (const int threads : {1, 3}) {
    setThreadCount(threads);
    Words to(toSize, 7);
    copy_call s = callOf(axes, fromStart, toStart);
    s.from = from.data();
    s.to = to.data();
    set.copy(s);
    checkWords(to, truth, std::string(set.name) + " copy, " + what);
  }
}

void testWalks(const InstructionSet& set) {
  testCopy(set, {{3, 1, 4}, {4, 3, 1}}, 0, 12, 0, 12, "a small transposition");
  testCopy(set, {{1117, 1, 700}, {700, 1117, 1}}, 0, 1117 * 700, 0, 1117 * 700, "a large transposition");
  testCopy(set, {{64, 1, 2}, {2, 64, 1}}, 0, 128, 0, 128, "two rows turned");
  testCopy(set, {{5, 600, 600}, {30, 1, 20}, {20, 30, 1}}, 0, 3000, 0, 3000, "a transposition of planes");
  testCopy(set, {{7, 100, 40}, {40, 1, 1}}, 30, 700, 0, 280, "rows of a slice");
  testCopy(set, {{800000, 1, 1}}, 5, 800005, 3, 800004, "one long run, with a border that stays");
  testCopy(set, {{50, 0, 30}, {30, 1, 1}}, 0, 30, 0, 1500, "a repeated row");
  testCopy(set, {{30, 1, 50}, {50, 0, 1}}, 0, 30, 0, 1500, "repeated words");
  testCopy(set, {{1000, -1, 1}}, 999, 1000, 0, 1000, "a reversed run");
  testCopy(set, {{10, -20, 20}, {20, -1, 1}}, 199, 200, 0, 200, "rows reversed, and their order");
  testCopy(set, {{9, 3, 2}}, 1, 30, 4, 30, "every third to every second");
  testCopy(set, {{3, 1, 120}, {4, 3, 30}, {5, 12, 6}, {3, 60, 2}, {2, 180, 1}}, 0, 360, 0, 360, "five axes");
  testCopy(set, {{1, 9, 9}}, 2, 3, 1, 3, "one word");
  testCopy(set, {{3, 5, 5}, {0, 1, 1}}, 0, 0, 0, 0, "nothing");
  for (int round = 0; round < 50; ++round) {  // six axes of any size, in any order
    std::vector<Axis> axes(6);
    int64_t from = 1, to = 1;
    for (Axis& axis : axes) axis.count = 1 + std::rand() % 5;
    std::vector<size_t> order{0, 1, 2, 3, 4, 5};
    for (size_t k = 5; k > 0; --k) std::swap(order[k], order[static_cast<size_t>(std::rand()) % (k + 1)]);
    for (size_t k = 6; k-- > 0;) {
      axes[k].to = to;
      to *= axes[k].count;
    }
    for (const size_t k : order) {
      axes[k].from = from;
      from *= axes[k].count;
    }
    testCopy(set, axes, 0, static_cast<size_t>(from), 0, static_cast<size_t>(to), "a random permutation");
  }
}

void testRows(const InstructionSet& set) {
  const std::string name = set.name;
  const Words table{1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60};  // 2 tables x 3 rows x 2
  const int32_t ids[] = {2, 0, -1, 3};
  Words picked(16, 9);
  set.gather_rows({1, 2, 3, 4, 2, table.data(), ids, picked.data()});
  checkWords(picked, {5, 6, 1, 2, 0, 0, 0, 0, 50, 60, 10, 20, 0, 0, 0, 0}, name + " gather_rows, one list for both");
  set.gather_rows({2, 1, 3, 2, 2, table.data(), ids, picked.data()});
  checkWords(picked, {5, 6, 1, 2, 0, 0, 0, 0}, name + " gather_rows, a list for each");

  const int32_t places[] = {1, 7, 1, -1};
  const Words updates{1, 2, 3, 4};
  Words whole{8, 8, 8};
  set.scatter_rows({3, 4, 1, places, updates.data(), whole.data()});
  checkWords(whole, {8, 3, 8}, name + " scatter_rows: the last update stays");
}

}  // namespace

int main() {
  for (int i = 0; usableSets()[i]; ++i) {
    testWalks(*usableSets()[i]);
    testRows(*usableSets()[i]);
  }
  std::printf(failures == 0 ? "passed\n" : "failed\n");
  return failures == 0 ? 0 : 1;
}
