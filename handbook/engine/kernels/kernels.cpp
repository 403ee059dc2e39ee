// The engine's kernels: products with packed weights, and attention over pages. Plain C ABI, AVX-512.
//
// Each has a twin in plain torch (plain.py) that tests hold it equal to.
//
// Axes: M rows (tokens), K inputs, N outputs, H query heads, J key and value heads, D head size.

#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || !defined(__AVX512DQ__)
#error "this processor has no AVX-512"
#endif

namespace {

// ----------------------------------------------------------------------------------------------- threads

// Helpers that take items of a job while there are some. The caller works too, and waits for items that
// somebody took, never for helpers that didn't come: on a machine with other work a helper may be off its core
// for milliseconds, and a step makes two hundred jobs of some microseconds. (OpenMP waits for all.) After a fork the caller is alone, and right.
class Pool {
 public:
  template <class F>
  void run(int items, int threads, const F& work) {
    if (threads <= 1 || items <= 1) {
      for (int i = 0; i < items; i++) work(i);
      return;
    }
    std::lock_guard<std::mutex> one(callers_);
    while (helpers_ < threads - 1) std::thread(&Pool::help, this, helpers_++).detach();
    wanted_.store(threads - 1);
    call_ = [](const void* f, int i) { (*(const F*)f)(i); };
    work_ = &work;
    items_ = items;
    done_.store(0);
    left_.store((left_.load() >> 32) + 1 << 32 | (uint32_t)items);
    if (asleep_.load() > 0) {
      { std::lock_guard<std::mutex> lock(sleep_); }
      wake_.notify_all();
    }
    while (take()) {}
    for (int spins = 0; done_.load(std::memory_order_acquire) != items; spins++)
      if (spins < 2000) _mm_pause();
      else std::this_thread::yield();
  }

 private:
  // Take one item and do it. The upper half of left_ counts jobs, so that nobody takes of a job that is over;
  // and while an item is not done, its job stays.
  bool take() {
    uint64_t seen = left_.load(std::memory_order_acquire);
    while ((uint32_t)seen) {
      if (!left_.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) continue;
      call_(work_, items_ - (int)(uint32_t)seen);
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
    return false;
  }

  void help(int number) {
    auto since = std::chrono::steady_clock::now();
    for (int spins = 0;; spins++) {
      if (number < wanted_.load(std::memory_order_relaxed) && take()) {
        spins = 0;
        continue;
      }
      _mm_pause();
      if (spins == 1) since = std::chrono::steady_clock::now();
      if (spins % 64 || std::chrono::steady_clock::now() - since < std::chrono::microseconds(200)) continue;
      std::unique_lock<std::mutex> lock(sleep_);
      asleep_.fetch_add(1);
      if (!(uint32_t)left_.load() || number >= wanted_.load()) wake_.wait(lock);
      asleep_.fetch_sub(1);
      spins = 0;
    }
  }

  alignas(64) std::atomic<uint64_t> left_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> asleep_{0}, wanted_{0};
  void (*call_)(const void*, int) = nullptr;
  const void* work_ = nullptr;
  int items_ = 0, helpers_ = 0;
  std::mutex callers_, sleep_;
  std::condition_variable wake_;
};

Pool& pool() {
  static Pool* kept = new Pool;  // never destroyed: helpers may wait in it when the process ends
  return *kept;
}

// ---------------------------------------------------------------------------------------------- numbers

// e^x; relative error below 2e-7. Cephes' split of ln 2, and a Taylor polynomial on [-ln2/2, ln2/2].
inline __m512 exp16(__m512 x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.3f)), _mm512_set1_ps(88.0f));
  __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 y = _mm512_set1_ps(1.0f / 5040);
  for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(c));
  return _mm512_scalef_ps(y, n);
}

inline __m512 silu16(__m512 x) {
  __m512 one = _mm512_set1_ps(1.0f);
  return _mm512_div_ps(x, _mm512_add_ps(one, exp16(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

inline __mmask16 first(int n) { return n >= 16 ? 0xFFFF : (__mmask16)((1u << std::max(n, 0)) - 1); }

// 16 bits of 16 floats, rounded to the nearest even.
inline __m256i to_bf16(__m512 x) {
#ifdef __AVX512BF16__
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  __m512i bits = _mm512_castps_si512(x);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  bits = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
#endif
}

inline __m512 from_bf16(const uint16_t* p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

// ---------------------------------------------------------------------------------------------- products

enum Kind { FP32 = 0, BF16 = 1, INT8 = 2 };
enum After { STORE = 0, ADD = 1, SILU = 2 };  // y = , y += , y = silu(gate) * up

}  // namespace

// A weight [N, K] in panels of 32 outputs. Of each, all that belongs to one group of inputs (1, 2 or 4 of
// them, 32 bits) lies together: [N/32][K/group][32][group]. pack.py makes it.
struct Linear {
  int32_t kind, outputs, inputs, after, rotate;
  float eps;
  const char* panels;
  const float* scales;    // int8: of each output
  const int32_t* starts;  // int8: -128 * sum of the weights of each output
  const float* bias;      // or null
  const float* norm;      // weight of the RMSNorm before the product, or null
};

namespace {

struct Fp32 {
  using Sum = __m512;
  static Sum start(const int32_t*) { return _mm512_setzero_ps(); }
  static Sum dot(Sum s, __m512i a, __m512i w) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(w), s);
  }
  static __m512 value(Sum s, float, const float*) { return s; }
};

#ifdef __AVX512BF16__
struct Bf16 : Fp32 {
  static Sum dot(Sum s, __m512i a, __m512i w) { return _mm512_dpbf16_ps(s, (__m512bh)a, (__m512bh)w); }
};
#endif

#ifdef __AVX512VNNI__
// Activations are stored plus 128, because the instruction wants one side unsigned; starts take that back.
struct Int8 {
  using Sum = __m512i;
  static Sum start(const int32_t* p) { return _mm512_loadu_si512(p); }
  // Written out: from the intrinsic, g++ 12 copies every sum twice, which halves the speed.
  static Sum dot(Sum s, __m512i a, __m512i w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(a), "v"(w));
    return s;
  }
  static __m512 value(Sum s, float scale, const float* scales) {
    __m512 both = _mm512_mul_ps(_mm512_loadu_ps(scales), _mm512_set1_ps(scale));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(s), both);
  }
};
#endif

// One panel against M rows x of `groups` 32-bit groups each, into columns of y.
template <class K, int M>
void tile(const Linear& w, int panel, const int32_t* x, const float* scale, int groups, float* y) {
  typename K::Sum sum[M][2];
  for (int m = 0; m < M; m++)
    for (int h = 0; h < 2; h++) sum[m][h] = K::start(w.starts + panel * 32 + h * 16);
  const char* at = w.panels + (size_t)panel * groups * 128;
  for (int g = 0; g < groups; g++, at += 128) {
    if (M <= 4) _mm_prefetch(at + 4096, _MM_HINT_T0), _mm_prefetch(at + 4160, _MM_HINT_T0);
    __m512i low = _mm512_loadu_si512(at), high = _mm512_loadu_si512(at + 64);
    for (int m = 0; m < M; m++) {
      __m512i a = _mm512_set1_epi32(x[(size_t)m * groups + g]);
      sum[m][0] = K::dot(sum[m][0], a, low);
      sum[m][1] = K::dot(sum[m][1], a, high);
    }
  }
  int wide = w.after == SILU ? w.outputs / 2 : w.outputs;
  for (int m = 0; m < M; m++) {
    __m512 out[2];
    for (int h = 0; h < 2; h++) {
      int n = panel * 32 + h * 16;
      out[h] = K::value(sum[m][h], scale[m], w.scales + n);
      if (w.bias) out[h] = _mm512_add_ps(out[h], _mm512_loadu_ps(w.bias + n));
    }
    float* row = y + (size_t)m * wide;
    if (w.after == SILU) {
      int n = panel * 16;
      _mm512_mask_storeu_ps(row + n, first(wide - n), _mm512_mul_ps(silu16(out[0]), out[1]));
      continue;
    }
    for (int h = 0; h < 2; h++) {
      int n = panel * 32 + h * 16;
      __mmask16 some = first(wide - n);
      if (w.after == ADD) out[h] = _mm512_add_ps(out[h], _mm512_maskz_loadu_ps(some, row + n));
      _mm512_mask_storeu_ps(row + n, some, out[h]);
    }
  }
}

constexpr int ROWS = 12;  // of a tile: 24 sums, 2 weights and an activation fill the 32 registers

template <class K, int... M>
void tile_of(std::integer_sequence<int, M...>, int rows, const Linear& w, int panel, const int32_t* x,
             const float* scale, int groups, float* y) {
  using Tile = void (*)(const Linear&, int, const int32_t*, const float*, int, float*);
  static constexpr Tile tiles[] = {tile<K, M + 1>...};
  tiles[rows - 1](w, panel, x, scale, groups, y);
}

// Lanes whose bit is clear get a + b, those whose bit is set a - b; b lies `step` lanes behind a.
inline __m512 butterfly(__m512 x, __m512 partner, __mmask16 set) {
  return _mm512_mask_sub_ps(_mm512_add_ps(partner, x), set, partner, x);
}

// Fast Walsh-Hadamard transform of each 64 of x [n], over 8: a rotation that spreads outliers.
void rotate64(float* x, int n) {
  __m512 eighth = _mm512_set1_ps(0.125f);
  for (float* end = x + n; x < end; x += 64) {
    __m512 v[4];
    for (int i = 0; i < 4; i++) {
      v[i] = _mm512_loadu_ps(x + 16 * i);
      v[i] = butterfly(v[i], _mm512_permute_ps(v[i], 0xB1), 0xAAAA);
      v[i] = butterfly(v[i], _mm512_permute_ps(v[i], 0x4E), 0xCCCC);
      v[i] = butterfly(v[i], _mm512_shuffle_f32x4(v[i], v[i], 0xB1), 0xF0F0);
      v[i] = butterfly(v[i], _mm512_shuffle_f32x4(v[i], v[i], 0x4E), 0xFF00);
    }
    __m512 a = _mm512_add_ps(v[0], v[1]), b = _mm512_sub_ps(v[0], v[1]);
    __m512 c = _mm512_add_ps(v[2], v[3]), d = _mm512_sub_ps(v[2], v[3]);
    _mm512_storeu_ps(x, _mm512_mul_ps(_mm512_add_ps(a, c), eighth));
    _mm512_storeu_ps(x + 16, _mm512_mul_ps(_mm512_add_ps(b, d), eighth));
    _mm512_storeu_ps(x + 32, _mm512_mul_ps(_mm512_sub_ps(a, c), eighth));
    _mm512_storeu_ps(x + 48, _mm512_mul_ps(_mm512_sub_ps(b, d), eighth));
  }
}

// A row x [K], normalised where the product wants it, as the product reads it. Returns its scale.
float prepare(const Linear& w, const float* x, char* out, float* row) {
  int K = w.inputs;
  if (w.norm) {
    __m512 squares = _mm512_setzero_ps();
    for (int i = 0; i < K; i += 16) {
      __m512 v = _mm512_loadu_ps(x + i);
      squares = _mm512_fmadd_ps(v, v, squares);
    }
    __m512 by = _mm512_set1_ps(1.0f / __builtin_sqrtf(_mm512_reduce_add_ps(squares) / K + w.eps));
    for (int i = 0; i < K; i += 16)
      _mm512_storeu_ps(row + i, _mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(x + i), by), _mm512_loadu_ps(w.norm + i)));
    x = row;
  }
  if (w.kind == FP32) {
    memcpy(out, x, K * sizeof(float));
  } else if (w.kind == BF16) {
    for (int i = 0; i < K; i += 16) _mm256_storeu_si256((__m256i*)(out + 2 * i), to_bf16(_mm512_loadu_ps(x + i)));
  } else {
    if (w.rotate) {
      if (x != row) memcpy(row, x, K * sizeof(float));
      rotate64(row, K);
      x = row;
    }
    __m512 most = _mm512_setzero_ps();
    for (int i = 0; i < K; i += 16) most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
    float largest = _mm512_reduce_max_ps(most);
    __m512 by = _mm512_set1_ps(largest > 0 ? 127.0f / largest : 0.0f);
    for (int i = 0; i < K; i += 16) {
      __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), by));
      _mm_storeu_si128((__m128i*)(out + i), _mm512_cvtepi32_epi8(_mm512_add_epi32(q, _mm512_set1_epi32(128))));
    }
    return largest / 127.0f;
  }
  return 1.0f;
}

template <class K>
void product(const Linear& w, const float* x, float* y, int rows, int threads) {
  static thread_local std::vector<char> kept;
  static thread_local std::vector<float> kept_scales;
  int bytes = w.kind == FP32 ? 4 : w.kind == BF16 ? 2 : 1, groups = w.inputs * bytes / 4;
  int wide = w.after == SILU ? w.outputs / 2 : w.outputs, panels = (w.outputs + 31) / 32;
  if (kept.size() < (size_t)rows * groups * 4) kept.resize((size_t)rows * groups * 4);
  if (kept_scales.size() < (size_t)rows) kept_scales.resize(rows);
  char* seen = kept.data();
  float* scales = kept_scales.data();
  // Rows that stay in a core's second cache while all panels pass by.
  int most = std::max(ROWS, (384 << 10) / (groups * 4) / ROWS * ROWS), blocks = (rows + most - 1) / most;
  pool().run(std::min(rows, threads), rows > 1 ? threads : 1, [&](int part) {
    static thread_local std::vector<float> row;
    if (row.size() < (size_t)w.inputs) row.resize(w.inputs);
    int parts = std::min(rows, threads);
    for (int m = rows * part / parts; m < rows * (part + 1) / parts; m++)
      scales[m] = prepare(w, x + (size_t)m * w.inputs, seen + (size_t)m * groups * 4, row.data());
  });
  // Some panels at a time, so that a helper that stops for a while holds up little.
  int each = std::max(1, std::min(panels / (8 * threads), 16)), bundles = (panels + each - 1) / each;
  pool().run(blocks * bundles, threads, [&](int item) {
    int from = item / bundles * most, to = std::min(rows, from + most), tiles = (to - from + ROWS - 1) / ROWS;
    int begin = item % bundles * each, end = std::min(panels, begin + each);
    for (int panel = begin; panel < end; panel++)
      for (int t = 0; t < tiles; t++) {
        int a = from + (to - from) * t / tiles, b = from + (to - from) * (t + 1) / tiles;
        tile_of<K>(std::make_integer_sequence<int, ROWS>(), b - a, w, panel,
                   (const int32_t*)(seen + (size_t)a * groups * 4), scales + a, groups, y + (size_t)a * wide);
      }
  });
}

}  // namespace

// Ask for large pages behind this memory, which nobody has touched yet: a step reads all weights, and with
// pages of 4 KiB the processor looks an address up for every 64 lines.
extern "C" void large_pages(void* memory, int64_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t begin = ((uintptr_t)memory + 4095) & ~(uintptr_t)4095, end = (uintptr_t)memory + bytes;
  if (end > begin) madvise((void*)begin, end - begin, MADV_HUGEPAGE);
#endif
}

// Which kinds of product this build has: a bit each.
extern "C" int32_t kinds() {
  int found = 1 << FP32;
#ifdef __AVX512BF16__
  found |= 1 << BF16;
#endif
#ifdef __AVX512VNNI__
  found |= 1 << INT8;
#endif
  return found;
}

// x [M, K] -> y [M, N], or [M, N/2] after SILU; rows of both lie one after another.
extern "C" void linear(const Linear* w, const float* x, float* y, int32_t rows, int32_t threads) {
  if (w->kind == FP32) product<Fp32>(*w, x, y, rows, threads);
#ifdef __AVX512BF16__
  if (w->kind == BF16) product<Bf16>(*w, x, y, rows, threads);
#endif
#ifdef __AVX512VNNI__
  if (w->kind == INT8) product<Int8>(*w, x, y, rows, threads);
#endif
}

// --------------------------------------------------------------------------------------------- attention

// What a step's attention has to know of its rows. Rows of one sequence lie together, in order.
struct Step {
  int32_t rows, heads, kv_heads, head_dim, page, bf16, threads;
  float scale;
  const int32_t* sequence;  // [rows] which sequence a row belongs to
  const int32_t* position;  // [rows]
  const int32_t* tables;    // [sequences] where a sequence's page numbers begin in pages
  const int32_t* pages;
  const float* cos;  // [positions, D/2]
  const float* sin;
};

namespace {

constexpr int CHUNK = 256;   // positions between two looks at the largest score
constexpr int QUERIES = 24;  // that share what was read of keys and values, at most

struct Block {  // rows of one sequence
  int row, count;
};

// Sums of 16 vectors: lane i has that of v[i].
inline __m512 sums16(const __m512* v) {
  __m512 a[8], b[4];
  for (int i = 0; i < 8; i++)
    a[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]), _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
  for (int i = 0; i < 4; i++) {
    __m512d p = _mm512_castps_pd(a[2 * i]), q = _mm512_castps_pd(a[2 * i + 1]);
    b[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)), _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
  }
  __m512 c = _mm512_add_ps(_mm512_shuffle_f32x4(b[0], b[1], 0x88), _mm512_shuffle_f32x4(b[0], b[1], 0xDD));
  __m512 d = _mm512_add_ps(_mm512_shuffle_f32x4(b[2], b[3], 0x88), _mm512_shuffle_f32x4(b[2], b[3], 0xDD));
  return _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x88), _mm512_shuffle_f32x4(c, d, 0xDD));
}

// The slots of n positions from `from` on.
void slots_of(const Step& s, const int32_t* table, int from, int n, int32_t* slots) {
  int page = from / s.page, place = from % s.page;
  for (int i = 0; i < n; i++) {
    slots[i] = table[page] * s.page + place;
    if (++place == s.page) place = 0, page++;
  }
}

// Some slots of a sequence, and how many.
struct Places {
  int32_t slots[CHUNK];
  int n = 0;
  void find(const Step& s, int sequence, int from, int last) {
    n = std::max(0, std::min(CHUNK, last - from));
    slots_of(s, s.pages + s.tables[sequence], from, n, slots);
  }
};

// What the next block will read of keys and values, asked for line by line while this one is computed: memory is
// what a decode step waits for, and heads lie too far apart for the processor to guess.
struct Ahead {
  const char* bases[2] = {nullptr, nullptr};
  const int32_t *slot = nullptr, *end = nullptr;
  size_t step = 0, bytes = 0;
  void fetch(int positions) {
    for (; positions > 0 && slot != end; positions--, slot++)
      for (const char* base : bases)
        for (size_t at = 0; at < bytes; at += 64) _mm_prefetch(base + *slot * step + at, _MM_HINT_T1);
  }
};

// A query against keys, both fp32.
template <int V>
struct Query {
  __m512 q[V];
  explicit Query(const float* from) {
    for (int d = 0; d < V; d++) q[d] = _mm512_loadu_ps(from + 16 * d);
  }
  __m512 by(const void* row) const {
    const float* key = (const float*)row;
    __m512 sum = _mm512_mul_ps(q[0], _mm512_loadu_ps(key));
    for (int d = 1; d < V; d++) sum = _mm512_fmadd_ps(q[d], _mm512_loadu_ps(key + 16 * d), sum);
    return sum;
  }
};

// The same where keys are bf16: the query is rounded, too.
template <int V>
struct Query16 {
#ifdef __AVX512BF16__
  static constexpr int PAIRS = (V + 1) / 2;
  __m512bh q[PAIRS];
  static __m512bh load(const uint16_t* p, int pair) {
    return 2 * pair + 1 < V ? (__m512bh)_mm512_loadu_si512(p + 32 * pair)
                            : (__m512bh)_mm512_zextsi256_si512(_mm256_loadu_si256((const __m256i*)(p + 32 * pair)));
  }
  explicit Query16(const float* from) {
    uint16_t rounded[16 * V];
    for (int d = 0; d < V; d++)
      _mm256_storeu_si256((__m256i*)(rounded + 16 * d), to_bf16(_mm512_loadu_ps(from + 16 * d)));
    for (int d = 0; d < PAIRS; d++) q[d] = load(rounded, d);
  }
  __m512 by(const void* row) const {
    __m512 sum = _mm512_setzero_ps();
    for (int d = 0; d < PAIRS; d++) sum = _mm512_dpbf16_ps(sum, q[d], load((const uint16_t*)row, d));
    return sum;
  }
#else
  __m512 q[V];
  explicit Query16(const float* from) {
    for (int d = 0; d < V; d++) {
      __m512i bits = _mm512_cvtepu16_epi32(to_bf16(_mm512_loadu_ps(from + 16 * d)));
      q[d] = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
    }
  }
  __m512 by(const void* row) const {
    __m512 sum = _mm512_mul_ps(q[0], from_bf16((const uint16_t*)row));
    for (int d = 1; d < V; d++) sum = _mm512_fmadd_ps(q[d], from_bf16((const uint16_t*)row + 16 * d), sum);
    return sum;
  }
#endif
};

// scores[i] = scale * query . keys[i] for n positions; up to the next 16 they are -inf. Returns the largest.
template <class Q>
float score(const Q& query, const void* const* keys, int n, float scale, float* scores, Ahead& ahead) {
  __m512 most = _mm512_set1_ps(-__builtin_inff());
  for (int at = 0; at < n; at += 16) {
    __m512 each[16];
    for (int i = 0; i < 16; i++) each[i] = query.by(keys[at + i]);
    ahead.fetch(2);
    __m512 s = _mm512_mul_ps(sums16(each), _mm512_set1_ps(scale));
    s = _mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()), first(n - at), s);
    most = _mm512_max_ps(most, s);
    _mm512_storeu_ps(scores + at, s);
  }
  return _mm512_reduce_max_ps(most);
}

// scores -> e^(score - most), zero behind n. Returns their sum.
inline float weigh(float* scores, int n, float most) {
  __m512 sum = _mm512_setzero_ps();
  for (int at = 0; at < n; at += 16) {
    __m512 s = _mm512_sub_ps(_mm512_loadu_ps(scores + at), _mm512_set1_ps(most));
    s = _mm512_maskz_mov_ps(first(n - at), exp16(s));
    sum = _mm512_add_ps(sum, s);
    _mm512_storeu_ps(scores + at, s);
  }
  return _mm512_reduce_add_ps(sum);
}

inline __m512 wide(const float* p) { return _mm512_loadu_ps(p); }
inline __m512 wide(const uint16_t* p) { return from_bf16(p); }

// out[g] = out[g] * shrink[g] + sum of weights[g][i] * values[i], for G queries that share the values.
template <int V, int G, class T>
void gather(float* out, const float* shrink, const float* weights, const void* const* values, int n, Ahead& ahead) {
  __m512 sum[G][V];
  for (int g = 0; g < G; g++)
    for (int d = 0; d < V; d++)
      sum[g][d] = _mm512_mul_ps(_mm512_loadu_ps(out + (g * V + d) * 16), _mm512_set1_ps(shrink[g]));
  for (int i = 0; i < n; i++) {
    if (i % 8 == 0) ahead.fetch(5);
    __m512 by[G];
    for (int g = 0; g < G; g++) by[g] = _mm512_set1_ps(weights[g * CHUNK + i]);
    for (int d = 0; d < V; d++) {
      __m512 value = wide((const T*)values[i] + 16 * d);
      for (int g = 0; g < G; g++) sum[g][d] = _mm512_fmadd_ps(by[g], value, sum[g][d]);
    }
  }
  for (int g = 0; g < G; g++)
    for (int d = 0; d < V; d++) _mm512_storeu_ps(out + (g * V + d) * 16, sum[g][d]);
}

// Where a head's rows lie at those places.
void locate(const Places& places, const char* base, size_t step, const void** rows) {
  for (int i = 0; i < places.n; i++) rows[i] = base + places.slots[i] * step;
  for (int i = places.n; i % 16; i++) rows[i] = rows[0];
}

// `gather` for all queries of a row, some at a time: sums and weights of so many fit the registers.
template <int V, class T>
void gather_row(float* out, const float* shrink, const float* weights, const void* const* values, int n, int group,
                Ahead& ahead) {
  constexpr int MOST = V <= 4 ? 4 : V <= 8 ? 2 : 1;
  while (group > 0) {
    int some = std::min(group, MOST);
    if (some == 1) gather<V, 1, T>(out, shrink, weights, values, n, ahead);
    else if (some == 2) gather<V, std::min(MOST, 2), T>(out, shrink, weights, values, n, ahead);
    else if (some == 3) gather<V, std::min(MOST, 3), T>(out, shrink, weights, values, n, ahead);
    else gather<V, MOST, T>(out, shrink, weights, values, n, ahead);
    out += some * V * 16, shrink += some, weights += some * CHUNK, group -= some;
  }
}

// Memory of a thread for a block's attention.
struct Room {
  std::vector<float> floats;
  Places now, next;
};

// Rows of one sequence and the query heads of one key and value head: softmax(q k^T) v, a chunk of positions
// after another (Milakov and Gimelshein 2018, arXiv:1805.02867, algorithm 3). Values that are bf16 are
// unpacked once where several rows read them.
template <int V, class Q>
void attend_block(const Step& s, Block block, int next_row, int head, const float* qkv, const void* keys,
                  const void* values, float* out, Room& room) {
  constexpr int D = 16 * V;
  int group = s.heads / s.kv_heads, queries = block.count * group, width = (s.heads + 2 * s.kv_heads) * D;
  int last = s.position[block.row + block.count - 1] + 1, sequence = s.sequence[block.row];
  size_t bytes = D * (s.bf16 ? 2 : 4), step = s.kv_heads * bytes;
  bool ahead = next_row < s.rows && s.sequence[next_row] != sequence;
  room.floats.resize(CHUNK * D + (size_t)queries * (D + 2) + (size_t)group * (CHUNK + 1));
  float *wide = room.floats.data(), *sums = wide + CHUNK * D, *most = sums + queries * D, *total = most + queries;
  float *weights = total + queries, *shrink = weights + group * CHUNK;
  std::fill(sums, most, 0.0f);
  std::fill(most, total, -__builtin_inff());
  std::fill(total, weights, 0.0f);
  const void *key_rows[CHUNK], *value_rows[CHUNK];
  for (int from = 0; from < last; from += CHUNK) {
    room.now.find(s, sequence, from, last);
    room.next.find(s, ahead ? s.sequence[next_row] : 0, from, ahead ? s.position[next_row] : 0);
    const char* bases[] = {(const char*)keys + head * bytes, (const char*)values + head * bytes};
    locate(room.now, bases[0], step, key_rows);
    locate(room.now, bases[1], step, value_rows);
    Ahead coming{{bases[0], bases[1]}, room.next.slots, room.next.slots + room.next.n, step, bytes};
    bool unpack = s.bf16 && block.count > 1;
    for (int i = 0; unpack && i < room.now.n; i++) {
      float* to = wide + i * D;
      for (int d = 0; d < D; d += 16) _mm512_storeu_ps(to + d, from_bf16((const uint16_t*)value_rows[i] + d));
      value_rows[i] = to;
      if (i % 8 == 0) coming.fetch(2);
    }
    for (int r = 0; r < block.count; r++) {
      int row = block.row + r, seen = std::min(CHUNK, s.position[row] + 1 - from);
      if (seen <= 0) continue;
      const float* q = qkv + (size_t)row * width + head * group * D;
      for (int g = 0; g < group; g++) {
        int one = r * group + g;
        float* mine = weights + g * CHUNK;
        float larger = std::max(most[one], score(Q(q + g * D), key_rows, seen, s.scale, mine, coming));
        shrink[g] = from ? __builtin_expf(most[one] - larger) : 0.0f;
        total[one] = total[one] * shrink[g] + weigh(mine, seen, larger);
        most[one] = larger;
      }
      float* to = sums + r * group * D;
      if (s.bf16 && !unpack) gather_row<V, uint16_t>(to, shrink, weights, value_rows, seen, group, coming);
      else gather_row<V, float>(to, shrink, weights, value_rows, seen, group, coming);
    }
    coming.fetch(CHUNK);
  }
  for (int one = 0; one < queries; one++) {
    float* to = out + ((size_t)(block.row + one / group) * s.heads + head * group + one % group) * D;
    __m512 by = _mm512_set1_ps(1.0f / total[one]);
    for (int d = 0; d < D; d += 16) _mm512_storeu_ps(to + d, _mm512_mul_ps(_mm512_loadu_ps(sums + one * D + d), by));
  }
}

// Turn a head x [D] by its position's angles, halves paired (RoFormer, arXiv:2104.09864, equation 34).
inline void turn(float* x, const float* cos, const float* sin, int half) {
  for (int i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    x[i] = a * cos[i] - b * sin[i];
    x[i + half] = b * cos[i] + a * sin[i];
  }
}

// A row's queries and keys turned in place, its keys and values written to its slot.
void write_row(const Step& s, int row, float* qkv, void* keys, void* values) {
  int D = s.head_dim, J = s.kv_heads, H = s.heads, place = s.position[row];
  float* mine = qkv + (size_t)row * (H + 2 * J) * D;
  for (int h = 0; h < H + J; h++)
    turn(mine + h * D, s.cos + (size_t)place * D / 2, s.sin + (size_t)place * D / 2, D / 2);
  const int32_t* table = s.pages + s.tables[s.sequence[row]];
  size_t at = ((size_t)table[place / s.page] * s.page + place % s.page) * J * D;
  for (int which = 0; which < 2; which++) {
    const float* source = mine + (H + which * J) * D;
    void* block = which ? values : keys;
    if (!s.bf16) {
      memcpy((float*)block + at, source, J * D * sizeof(float));
      continue;
    }
    for (int i = 0; i < J * D; i += 16)
      _mm256_storeu_si256((__m256i*)((uint16_t*)block + at + i), to_bf16(_mm512_loadu_ps(source + i)));
  }
}

template <int V, class Q>
void attend_all(const Step& s, float* qkv, void* keys, void* values, float* out) {
  static thread_local std::vector<Block> kept;
  kept.clear();
  int share = std::max(1, QUERIES / (s.heads / s.kv_heads));
  for (int row = 0; row < s.rows; row++) {
    bool joins = !kept.empty() && kept.back().count < share && s.sequence[row] == s.sequence[kept.back().row];
    if (joins) kept.back().count++;
    else kept.push_back({row, 1});
  }
  const Block* blocks = kept.data();
  int parts = std::min(s.rows, s.threads), count = (int)kept.size(), J = s.kv_heads;
  pool().run(parts, s.threads, [&](int part) {
    for (int row = s.rows * part / parts; row < s.rows * (part + 1) / parts; row++)
      write_row(s, row, qkv, keys, values);
  });
  // Of few blocks each head is an item; of many, some blocks with all heads, which lie together in memory.
  // The last rows of a prompt see the most: they are first.
  int each = count < 4 * s.threads ? 0 : std::min(16, count / (2 * s.threads));
  int items = each ? (count + each - 1) / each : count * J;
  pool().run(items, s.threads, [&](int item) {
    static thread_local Room room;
    int from = each ? item * each : item / J, to = each ? std::min(count, from + each) : from + 1;
    for (int b = from; b < to; b++) {
      const Block& block = blocks[count - 1 - b];
      int next_row = b + 1 < to ? blocks[count - 2 - b].row : s.rows;
      for (int head = each ? 0 : item % J; head < (each ? J : item % J + 1); head++)
        attend_block<V, Q>(s, block, next_row, head, qkv, keys, values, out, room);
    }
  });
}

}  // namespace

// Whether heads of this size have a kernel.
extern "C" int32_t attends(int32_t head_dim) {
  int v = head_dim / 16;
  return head_dim % 16 == 0 && ((v >= 1 && v <= 6) || v == 8 || v == 16);
}

namespace {

template <int V>
void attend_sized(const Step& s, float* qkv, void* keys, void* values, float* out) {
  if (s.bf16) attend_all<V, Query16<V>>(s, qkv, keys, values, out);
  else attend_all<V, Query<V>>(s, qkv, keys, values, out);
}

}  // namespace

// qkv [M, (H + 2J) * D] of a layer, not turned yet, and its keys and values [slots, J, D] -> out [M, H * D].
extern "C" void attend(const Step* s, float* qkv, void* keys, void* values, float* out) {
  switch (s->head_dim / 16) {
    case 1: return attend_sized<1>(*s, qkv, keys, values, out);
    case 2: return attend_sized<2>(*s, qkv, keys, values, out);
    case 3: return attend_sized<3>(*s, qkv, keys, values, out);
    case 4: return attend_sized<4>(*s, qkv, keys, values, out);
    case 5: return attend_sized<5>(*s, qkv, keys, values, out);
    case 6: return attend_sized<6>(*s, qkv, keys, values, out);
    case 8: return attend_sized<8>(*s, qkv, keys, values, out);
    case 16: return attend_sized<16>(*s, qkv, keys, values, out);
  }
}
