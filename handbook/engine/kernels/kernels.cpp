// The engine's kernels: products with packed weights, and attention over pages. Plain C ABI.
//
// Each has a twin in plain torch (plain.py) that tests hold it equal to.

#include <stdint.h>
#include <sys/mman.h>

#include "lanes.h"
//
#include "pool.h"
//
#include "products.h"
//
#include "attention.h"

// Ask for large pages behind this memory, which nobody has touched yet: a step reads all weights, and with
// pages of 4 KiB the processor looks an address up for every 64 lines.
extern "C" void large_pages(void* memory, int64_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t begin = ((uintptr_t)memory + 4095) & ~(uintptr_t)4095, end = (uintptr_t)memory + bytes;
  if (end > begin) madvise((void*)begin, end - begin, MADV_HUGEPAGE);
#endif
}

// A block's four products, and its cache.
struct Layer {
  const Linear *qkv, *out, *gate_up, *down;
  Cache cache;
};

// x [M, C], embedded, through all blocks. qkv, y [M, H * D] and hidden are room for what comes between. chosen: the
// rows' adapters, null where no row has one; rows of one stand together.
extern "C" void forward(const Layer* layers, int32_t count, const Step* s, float* x, float* qkv, float* y,
                        float* hidden, const Chosen* chosen) {
  static thread_local std::vector<const Low*> lows;
  int at = 0;  // of the layer's products
  auto multiply = [&](const Linear* w, const float* from, float* to) {
    if (chosen) {
      lows.assign(s->rows, nullptr);
      for (int m = 0; m < s->rows; m++)
        if (int which = chosen->of[m]; which >= 0 && chosen->lows[which][at].ranks) lows[m] = chosen->lows[which] + at;
      at++;
    }
    product_any(*w, from, to, s->rows, s->threads, nullptr, chosen ? lows.data() : nullptr);
  };
  for (const Layer* layer = layers; layer < layers + count; layer++) {
    multiply(layer->qkv, x, qkv);
    attend(s, qkv, &layer->cache, y);
    multiply(layer->out, y, x);
    multiply(layer->gate_up, x, hidden);
    multiply(layer->down, hidden, x);
  }
}

// Reads memory as a product does that does nothing else, to know what the memory can: returns a sum of its words.
extern "C" int64_t read_all(const void* memory, int64_t bytes, int32_t threads) {
  constexpr int64_t PIECE = 1 << 16;
  std::atomic<int64_t> total{0};
  pool().run((int)(bytes / PIECE), threads, [&](int item) {
    const char* at = (const char*)memory + item * PIECE;
    F sums[8];
    for (F& sum : sums) sum = all(0.0f);
    for (const char* end = at + PIECE; at < end; at += 512)
      for (int i = 0; i < 8; i++) {
        __builtin_prefetch(at + 4096 + 64 * i);
        sums[i] = sums[i] + load((const float*)(at + 64 * i));
      }
    float sum16 = 0;
    for (F& one : sums) sum16 += sum(one);
    total += (int64_t)sum16;
  });
  return total;
}

// What this build counts with, in words.
extern "C" const char* lanes() { return LANES; }
