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

// What this build counts with, in words.
extern "C" const char* lanes() { return LANES; }
