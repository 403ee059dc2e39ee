// Sixteen floats at a time, on whatever the processor has. The kernels are written once, in these words.
//
// Two forms: one register of AVX-512 where the processor has it with VNNI; else some registers of the compiler's own
// vectors, 32 bytes wide with AVX2 and 16 on others (NEON, SSE), with the few instructions by name that a compiler does
// not find for itself.

#include <stdint.h>
#include <string.h>

#include <algorithm>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && \
    defined(__AVX512VNNI__)
#define WIDE 1
#else
#define WIDE 0
#endif

namespace {

INLINE void pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

INLINE void ask_for(const void* line) { __builtin_prefetch(line, 0, 2); }

constexpr float INFINITE = __builtin_inff();

#if WIDE

using F = __m512;   // 16 floats
using W = __m512i;  // 16 words of 32 bits: whole numbers, or 1, 2 or 4 inputs each

INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
INLINE __mmask16 first(int n) { return n >= 16 ? 0xFFFF : (__mmask16)((1u << std::max(n, 0)) - 1); }
INLINE F load(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }  // zeros behind n
INLINE void store(float* p, F x, int n) { _mm512_mask_storeu_ps(p, first(n), x); }
INLINE F keep(F x, int n, float other) { return _mm512_mask_mov_ps(_mm512_set1_ps(other), first(n), x); }
INLINE F all(float x) { return _mm512_set1_ps(x); }
INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
INLINE F absolute(F a) { return _mm512_abs_ps(a); }
INLINE F nearest(F a) { return _mm512_roundscale_ps(a, 0); }
INLINE F doubled(F x, F n) { return _mm512_scalef_ps(x, n); }  // x * 2^n
INLINE float sum(F a) { return _mm512_reduce_add_ps(a); }
INLINE float most(F a) { return _mm512_reduce_max_ps(a); }

INLINE W words(const void* p) { return _mm512_loadu_si512(p); }
INLINE W word(int32_t x) { return _mm512_set1_epi32(x); }
INLINE F floats(W x) { return _mm512_cvtepi32_ps(x); }
INLINE F bits(W x) { return _mm512_castsi512_ps(x); }

INLINE F from_bf16(const uint16_t* p) {
  return bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
INLINE F from_fp16(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
INLINE F from_int8(const int8_t* p) {
  return floats(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)));
}

// Rounded to the nearest even.
INLINE void to_bf16(uint16_t* p, F x) {
#ifdef __AVX512BF16__
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(x));
#else
  __m512i b = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(b, 16), _mm512_set1_epi32(1));
  b = _mm512_add_epi32(b, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(b, 16)));
#endif
}

// Whole numbers, as bytes plus `offset`.
INLINE void to_int8(int8_t* p, F x, int offset) {
  __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(offset));
  _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(whole));
}

// Lane i: the sum of v[i].
INLINE F sums16(const F* v) {
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

// Lanes whose bit is clear get a + b, those whose bit is set a - b; b lies `step` lanes behind a.
INLINE F butterfly(F x, F partner, __mmask16 set) {
  return _mm512_mask_sub_ps(_mm512_add_ps(partner, x), set, partner, x);
}
INLINE F butterflies(F x) {
  x = butterfly(x, _mm512_permute_ps(x, 0xB1), 0xAAAA);
  x = butterfly(x, _mm512_permute_ps(x, 0x4E), 0xCCCC);
  x = butterfly(x, _mm512_shuffle_f32x4(x, x, 0xB1), 0xF0F0);
  return butterfly(x, _mm512_shuffle_f32x4(x, x, 0x4E), 0xFF00);
}

// s + the sum of 4 products of bytes, in each word: a is unsigned, b signed. Written out: from the intrinsic, g++ 12
// copies every sum twice, which halves the speed.
INLINE W dot4(W s, W a, W b) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(a), "v"(b));
  return s;
}
constexpr int OFFSET = 128;  // activations are stored so much larger, because one side has to be unsigned
INLINE W dot_weights(W s, W a, W w) { return dot4(s, a, w); }

// Weights of 4 bits (0 to 15) by activations.
INLINE W low4(W x) { return _mm512_and_si512(x, _mm512_set1_epi8(15)); }
INLINE W high4(W x) { return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15)); }
INLINE W dot_small(W s, W a, W w) { return dot4(s, w, a); }

// s + the products of 2 bf16 in each word.
INLINE F dot2(F s, W a, W b) {
#ifdef __AVX512BF16__
  return _mm512_dpbf16_ps(s, (__m512bh)a, (__m512bh)b);
#else
  W high = word(0xFFFF0000);
  s = fma(bits(_mm512_slli_epi32(a, 16)), bits(_mm512_slli_epi32(b, 16)), s);
  return fma(bits(_mm512_and_si512(a, high)), bits(_mm512_and_si512(b, high)), s);
#endif
}

constexpr const char* LANES = "AVX-512 VNNI"
#ifdef __AVX512BF16__
                              " BF16"
#endif
    ;

#else

#ifdef __AVX2__
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int PARTS = 64 / BYTES, EACH = BYTES / 4;
typedef float Float __attribute__((vector_size(BYTES)));
typedef int32_t Whole __attribute__((vector_size(BYTES)));

template <class T>
struct Parts {
  T part[PARTS];
};
using F = Parts<Float>;
using W = Parts<Whole>;

// Each part of some vectors through an expression; `i` is its number.
#define EACH_PART(type, expression)                       \
  ({                                                      \
    type result;                                          \
    for (int i = 0; i < PARTS; i++) result.part[i] = (expression); \
    result;                                               \
  })

INLINE F load(const float* p) {
  F x;
  memcpy(&x, p, 64);
  return x;
}
INLINE void store(float* p, F x) { memcpy(p, &x, 64); }
INLINE F load(const float* p, int n) {
  if (n >= 16) return load(p);
  float some[16] = {};
  for (int i = 0; i < n; i++) some[i] = p[i];
  return load(some);
}
INLINE void store(float* p, F x, int n) {
  if (n >= 16) return store(p, x);
  float some[16];
  store(some, x);
  for (int i = 0; i < n; i++) p[i] = some[i];
}
INLINE F all(float x) { return EACH_PART(F, Float{} + x); }
INLINE F keep(F x, int n, float other) {
  if (n >= 16) return x;
  float some[16];
  store(some, x);
  for (int i = std::max(n, 0); i < 16; i++) some[i] = other;
  return load(some);
}
INLINE F operator+(F a, F b) { return EACH_PART(F, a.part[i] + b.part[i]); }
INLINE F operator-(F a, F b) { return EACH_PART(F, a.part[i] - b.part[i]); }
INLINE F operator*(F a, F b) { return EACH_PART(F, a.part[i] * b.part[i]); }
INLINE F operator/(F a, F b) { return EACH_PART(F, a.part[i] / b.part[i]); }
INLINE F fma(F a, F b, F c) {
#if defined(__AVX2__) && defined(__FMA__)
  return EACH_PART(F, (Float)_mm256_fmadd_ps((__m256)a.part[i], (__m256)b.part[i], (__m256)c.part[i]));
#elif defined(__aarch64__)
  return EACH_PART(F, (Float)vfmaq_f32((float32x4_t)c.part[i], (float32x4_t)a.part[i], (float32x4_t)b.part[i]));
#else
  return EACH_PART(F, a.part[i] * b.part[i] + c.part[i]);
#endif
}
INLINE F min(F a, F b) { return EACH_PART(F, a.part[i] < b.part[i] ? a.part[i] : b.part[i]); }
INLINE F max(F a, F b) { return EACH_PART(F, a.part[i] > b.part[i] ? a.part[i] : b.part[i]); }
INLINE F absolute(F a) { return EACH_PART(F, (Float)((Whole)a.part[i] & 0x7FFFFFFF)); }
INLINE F nearest(F a) { return EACH_PART(F, (a.part[i] + 12582912.0f) - 12582912.0f); }  // for |a| < 2^22
INLINE W wholes(F a) { return EACH_PART(W, __builtin_convertvector(a.part[i], Whole)); }
INLINE F doubled(F x, F n) {  // x * 2^n, where both and what comes of it are no denormals
  W whole = wholes(n);
  return EACH_PART(F, (Float)((Whole)x.part[i] + (whole.part[i] << 23)));
}
INLINE float sum(F a) {
  Float all = a.part[0];
  for (int i = 1; i < PARTS; i++) all += a.part[i];
  float sum = 0;
  for (int i = 0; i < EACH; i++) sum += all[i];
  return sum;
}
INLINE float most(F a) {
  float some[16], most;
  store(some, a);
  most = some[0];
  for (float x : some) most = std::max(most, x);
  return most;
}

INLINE W words(const void* p) {
  W x;
  memcpy(&x, p, 64);
  return x;
}
INLINE W word(int32_t x) { return EACH_PART(W, Whole{} + x); }
INLINE F floats(W x) { return EACH_PART(F, __builtin_convertvector(x.part[i], Float)); }
INLINE F bits(W x) { return EACH_PART(F, (Float)x.part[i]); }
INLINE W shifted(W x, int n) { return EACH_PART(W, x.part[i] << n); }
INLINE W masked(W x, int32_t mask) { return EACH_PART(W, x.part[i] & mask); }

template <class T>
INLINE W widened(const T* p) {
  typedef T Narrow __attribute__((vector_size(EACH * sizeof(T))));
  return EACH_PART(W, ({
                     Narrow some;
                     memcpy(&some, p + i * EACH, sizeof(some));
                     __builtin_convertvector(some, Whole);
                   }));
}
INLINE F from_bf16(const uint16_t* p) { return bits(shifted(widened(p), 16)); }
INLINE F from_int8(const int8_t* p) { return floats(widened(p)); }
INLINE F from_fp16(const uint16_t* p) {
#ifdef __F16C__
  return EACH_PART(F, ({
                     Float wide;
                     if (BYTES == 32) wide = (Float)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(p + i * EACH)));
                     else for (int j = 0; j < EACH; j++) wide[j] = _cvtsh_ss(p[i * EACH + j]);
                     wide;
                   }));
#else
  // Exponent and fraction move to where a float has them; 2^112 puts the exponent's bias right, of denormals too.
  W half = widened(p);
  return EACH_PART(F, (Float)((Whole)((Float)((half.part[i] & 0x7FFF) << 13) * 0x1p112f) | (half.part[i] & 0x8000) << 16));
#endif
}
INLINE void to_bf16(uint16_t* p, F x) {
  typedef uint16_t Narrow __attribute__((vector_size(EACH * 2)));
  typedef uint32_t Bits __attribute__((vector_size(BYTES)));
  for (int i = 0; i < PARTS; i++) {
    Bits b = (Bits)x.part[i];
    Narrow some = __builtin_convertvector((b + 0x7FFF + ((b >> 16) & 1)) >> 16, Narrow);
    memcpy(p + i * EACH, &some, sizeof(some));
  }
}
INLINE void to_int8(int8_t* p, F x, int offset) {
  typedef int8_t Narrow __attribute__((vector_size(EACH)));
  W whole = wholes(nearest(x));
  for (int i = 0; i < PARTS; i++) {
    Narrow some = __builtin_convertvector(whole.part[i] + offset, Narrow);
    memcpy(p + i * EACH, &some, sizeof(some));
  }
}

INLINE F sums16(const F* v) {
#ifdef __AVX2__
  __m256 eight[2];
  for (int half = 0; half < 2; half++) {
    __m256 s[8];
    for (int j = 0; j < 8; j++) s[j] = (__m256)(v[half * 8 + j].part[0] + v[half * 8 + j].part[1]);
    __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(s[0], s[1]), _mm256_hadd_ps(s[2], s[3]));
    __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(s[4], s[5]), _mm256_hadd_ps(s[6], s[7]));
    eight[half] = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  }
  return F{{(Float)eight[0], (Float)eight[1]}};
#else
  float sums[16];
  for (int j = 0; j < 16; j++) sums[j] = sum(v[j]);
  return load(sums);
#endif
}

INLINE F butterflies(F x) {
  float a[16], b[16];
  store(a, x);
  for (int step = 1; step < 16; step *= 2) {
    for (int i = 0; i < 16; i++) b[i] = i & step ? a[i - step] - a[i] : a[i] + a[i + step];
    memcpy(a, b, sizeof(a));
  }
  return load(a);
}

// s + the sum of 4 products of signed bytes in each word, both within +-127.
INLINE W dot4(W s, W a, W b) {
#if defined(__AVX2__)
  // Signs move from one side to the other, because the instruction wants one unsigned; 2 * 127^2 fits 16 bits.
  return EACH_PART(W, ({
                     __m256i x = (__m256i)a.part[i], y = (__m256i)b.part[i];
                     __m256i two = _mm256_maddubs_epi16(_mm256_abs_epi8(y), _mm256_sign_epi8(x, y));
                     s.part[i] + (Whole)_mm256_madd_epi16(two, _mm256_set1_epi16(1));
                   }));
#elif defined(__ARM_FEATURE_DOTPROD)
  return EACH_PART(W, (Whole)vdotq_s32((int32x4_t)s.part[i], (int8x16_t)a.part[i], (int8x16_t)b.part[i]));
#else
  // Bytes from the top of a word come down with their sign.
  return EACH_PART(W, s.part[i] + (a.part[i] >> 24) * (b.part[i] >> 24) +
                          (a.part[i] << 8 >> 24) * (b.part[i] << 8 >> 24) +
                          (a.part[i] << 16 >> 24) * (b.part[i] << 16 >> 24) +
                          (a.part[i] << 24 >> 24) * (b.part[i] << 24 >> 24));
#endif
}
constexpr int OFFSET = 0;
INLINE W dot_weights(W s, W a, W w) { return dot4(s, a, w); }
INLINE W low4(W x) { return masked(x, 0x0F0F0F0F); }
INLINE W high4(W x) { return EACH_PART(W, x.part[i] >> 4 & 0x0F0F0F0F); }
INLINE W dot_small(W s, W a, W w) { return dot4(s, a, w); }
INLINE F dot2(F s, W a, W b) {
  s = fma(bits(shifted(a, 16)), bits(shifted(b, 16)), s);
  return fma(bits(masked(a, 0xFFFF0000)), bits(masked(b, 0xFFFF0000)), s);
}

#if defined(__AVX2__)
constexpr const char* LANES = "AVX2";
#elif defined(__ARM_FEATURE_DOTPROD)
constexpr const char* LANES = "NEON with dot products";
#elif defined(__ARM_NEON)
constexpr const char* LANES = "NEON";
#else
constexpr const char* LANES = "plain C++";
#endif

#endif

// e^x; relative error below 2e-7. Cephes' split of ln 2, and a Taylor polynomial on [-ln2/2, ln2/2].
INLINE F exp16(F x) {
  x = min(max(x, all(-87.3f)), all(88.0f));
  F n = nearest(x * all(1.44269504f));
  F r = fma(n, all(-0.693359375f), x);
  r = fma(n, all(2.12194440e-4f), r);
  F y = all(1.0f / 5040);
  for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) y = fma(y, r, all(c));
  return doubled(y, n);
}

INLINE F silu16(F x) { return x / (all(1.0f) + exp16(all(0.0f) - x)); }

}  // namespace
