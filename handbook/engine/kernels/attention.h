// Attention of a step's rows over pages, which are read where they lie.
//
// Axes: M rows, H query heads, J key and value heads, D head size.

#include <vector>

// What a step's attention has to know of its rows. Rows of one sequence lie together, in order.
struct Step {
  int32_t rows, heads, kv_heads, head_dim, page, kind, threads;
  float scale;
  const int32_t* sequence;  // [rows] which sequence a row belongs to
  const int32_t* position;  // [rows]
  const int32_t* tables;    // [sequences] where a sequence's page numbers begin in pages
  const int32_t* pages;
  const float* cos;  // [positions, D/2]
  const float* sin;
};

// A layer's keys and values [slots, J, D], and the scales [slots, J] of those that are int8.
struct Cache {
  void *keys, *values;
  float *key_scales, *value_scales;
};

namespace {

constexpr int CHUNK = 256;   // positions between two looks at the largest score
constexpr int QUERIES = 24;  // that share what was read of keys and values, at most

struct Block {  // rows of one sequence
  int row, count;
};

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
        for (size_t at = 0; at < bytes; at += 64) ask_for(base + *slot * step + at);
  }
};

// A query against keys, both fp32. unit: what all products are to be multiplied by.
template <int V>
struct Query {
  using Value = float;
  static constexpr float unit = 1.0f;
  F q[V];
  explicit Query(const float* from) {
    for (int d = 0; d < V; d++) q[d] = load(from + 16 * d);
  }
  INLINE F wide(const float* p) { return load(p); }
  INLINE F by(const Query& me, const void* row) {
    F sum = me.q[0] * load((const float*)row);
    for (int d = 1; d < V; d++) sum = fma(me.q[d], load((const float*)row + 16 * d), sum);
    return sum;
  }
};

// The same where keys are bf16: the query is rounded, too.
template <int V>
struct Query16 {
  using Value = uint16_t;
  static constexpr float unit = 1.0f;
  INLINE F wide(const uint16_t* p) { return from_bf16(p); }
#ifdef __AVX512BF16__
  static constexpr int PAIRS = (V + 1) / 2;
  W q[PAIRS];
  static W load_pair(const uint16_t* p, int pair) {
    return 2 * pair + 1 < V ? words(p + 32 * pair)
                            : _mm512_zextsi256_si512(_mm256_loadu_si256((const __m256i*)(p + 32 * pair)));
  }
  explicit Query16(const float* from) {
    uint16_t rounded[16 * V];
    for (int d = 0; d < V; d++) to_bf16(rounded + 16 * d, load(from + 16 * d));
    for (int d = 0; d < PAIRS; d++) q[d] = load_pair(rounded, d);
  }
  INLINE F by(const Query16& me, const void* row) {
    F sum = all(0.0f);
    for (int d = 0; d < PAIRS; d++) sum = dot2(sum, me.q[d], load_pair((const uint16_t*)row, d));
    return sum;
  }
#else
  F q[V];
  explicit Query16(const float* from) {
    uint16_t rounded[16 * V];
    for (int d = 0; d < V; d++) to_bf16(rounded + 16 * d, load(from + 16 * d));
    for (int d = 0; d < V; d++) q[d] = from_bf16(rounded + 16 * d);
  }
  INLINE F by(const Query16& me, const void* row) {
    F sum = me.q[0] * from_bf16((const uint16_t*)row);
    for (int d = 1; d < V; d++) sum = fma(me.q[d], from_bf16((const uint16_t*)row + 16 * d), sum);
    return sum;
  }
#endif
};

// The same where keys are whole numbers in bytes. With VNNI the query becomes two of them, a coarse and a fine one of
// 1/254 of its steps, so that it keeps 16 bits and only the cache is rounded.
template <int V>
struct Query8 {
  using Value = int8_t;
  INLINE F wide(const int8_t* p) { return from_int8(p); }
#if WIDE
  static constexpr int QUADS = (V + 3) / 4;
  static constexpr __mmask64 LAST = V % 4 ? (1ull << (V % 4 * 16)) - 1 : ~0ull;
  W coarse[QUADS], fine[QUADS], starts[2];
  float unit;
  static W load_quad(const int8_t* p, int quad) {
    return quad + 1 < QUADS ? words(p + 64 * quad) : _mm512_maskz_loadu_epi8(LAST, p + 64 * quad);
  }
  explicit Query8(const float* from) {
    int8_t wholes[2][16 * V];
    unit = to_wholes(from, 16 * V, wholes[0], 0);
    F up = all(unit > 0 ? 1.0f / unit : 0.0f);
    for (int d = 0; d < 16 * V; d += 16) {
      F rest = load(from + d) * up - from_int8(wholes[0] + d);
      to_int8(wholes[1] + d, max(min(rest * all(254.0f), all(127.0f)), all(-127.0f)), 0);
    }
    W shift = word(0x80808080);
    starts[0] = starts[1] = word(0);
    for (int d = 0; d < QUADS; d++) {
      coarse[d] = load_quad(wholes[0], d), fine[d] = load_quad(wholes[1], d);
      starts[0] = dot4(starts[0], shift, coarse[d]), starts[1] = dot4(starts[1], shift, fine[d]);
    }
    for (W& start : starts) start = _mm512_sub_epi32(word(0), start);
  }
  INLINE F by(const Query8& me, const void* row) {
    W high = me.starts[0], low = me.starts[1];
    for (int d = 0; d < QUADS; d++) {
      W key = _mm512_xor_si512(load_quad((const int8_t*)row, d), word(0x80808080));  // 128 more, unsigned
      high = dot4(high, key, me.coarse[d]);
      low = dot4(low, key, me.fine[d]);
    }
    return fma(floats(low), all(1.0f / 254), floats(high));
  }
#else
  static constexpr float unit = 1.0f;
  F q[V];
  explicit Query8(const float* from) {
    for (int d = 0; d < V; d++) q[d] = load(from + 16 * d);
  }
  INLINE F by(const Query8& me, const void* row) {
    F sum = me.q[0] * from_int8((const int8_t*)row);
    for (int d = 1; d < V; d++) sum = fma(me.q[d], from_int8((const int8_t*)row + 16 * d), sum);
    return sum;
  }
#endif
};

// scores[i] = scale * query . keys[i] (times the key's own scale) for n positions; up to the next 16 they are -inf.
// Returns the largest.
template <class Q>
float score(const Q& query, const void* const* keys, const float* scales, int n, float scale, float* scores,
            Ahead& ahead) {
  F top = all(-INFINITE), unit = all(scale * query.unit);
  for (int at = 0; at < n; at += 16) {
    F each[16];
    for (int i = 0; i < 16; i++) each[i] = Q::by(query, keys[at + i]);
    ahead.fetch(2);
    F s = sums16(each) * unit;
    if (sizeof(typename Q::Value) == 1) s = s * load(scales + at);
    s = keep(s, n - at, -INFINITE);
    top = max(top, s);
    store(scores + at, s);
  }
  return most(top);
}

// scores -> e^(score - top), zero behind n. Returns their sum.
inline float weigh(float* scores, int n, float top) {
  F total = all(0.0f);
  for (int at = 0; at < n; at += 16) {
    F s = keep(exp16(load(scores + at) - all(top)), n - at, 0.0f);
    total = total + s;
    store(scores + at, s);
  }
  return sum(total);
}

// out[g] = out[g] * shrink[g] + sum of weights[g][i] * values[i], for G queries that share the values.
template <int V, int G, class Q>
void gather(float* out, const float* shrink, const float* weights, const void* const* values, int n, Ahead& ahead) {
  F sum[G][V];
  for (int g = 0; g < G; g++)
    for (int d = 0; d < V; d++) sum[g][d] = load(out + (g * V + d) * 16) * all(shrink[g]);
  for (int i = 0; i < n; i++) {
    if (i % 8 == 0) ahead.fetch(5);
    F by[G];
    for (int g = 0; g < G; g++) by[g] = all(weights[g * CHUNK + i]);
    for (int d = 0; d < V; d++) {
      F value = Q::wide((const typename Q::Value*)values[i] + 16 * d);
      for (int g = 0; g < G; g++) sum[g][d] = fma(by[g], value, sum[g][d]);
    }
  }
  for (int g = 0; g < G; g++)
    for (int d = 0; d < V; d++) store(out + (g * V + d) * 16, sum[g][d]);
}

// Where a head's rows lie at those places, and their scales where they have some.
void locate(const Places& places, const char* base, size_t step, const float* scales, int heads, const void** rows,
            float* found) {
  for (int i = 0; i < places.n; i++) rows[i] = base + places.slots[i] * step;
  for (int i = places.n; i % 16; i++) rows[i] = rows[0];
  if (!scales) return;
  for (int i = 0; i < places.n; i++) found[i] = scales[(size_t)places.slots[i] * heads];
  for (int i = places.n; i % 16; i++) found[i] = 0.0f;
}

// `gather` for all queries of a row, some at a time: sums and weights of so many fit the registers.
template <int V, class Q>
void gather_row(float* out, const float* shrink, const float* weights, const void* const* values, int n, int group,
                Ahead& ahead) {
  constexpr int MOST = WIDE ? (V <= 4 ? 4 : V <= 8 ? 2 : 1) : V <= 2 ? 2 : 1;
  while (group > 0) {
    int some = std::min(group, MOST);
    if (some == 1) gather<V, 1, Q>(out, shrink, weights, values, n, ahead);
    else if (some == 2) gather<V, std::min(MOST, 2), Q>(out, shrink, weights, values, n, ahead);
    else if (some == 3) gather<V, std::min(MOST, 3), Q>(out, shrink, weights, values, n, ahead);
    else gather<V, MOST, Q>(out, shrink, weights, values, n, ahead);
    out += some * V * 16, shrink += some, weights += some * CHUNK, group -= some;
  }
}

// Memory of a thread for a block's attention.
struct Room {
  std::vector<float> floats;
  Places now, next;
};

// Rows of one sequence and the query heads of one key and value head: softmax(q k^T) v, a chunk of positions
// after another (Milakov and Gimelshein 2018, arXiv:1805.02867, algorithm 3). Values that aren't fp32 are
// unpacked once where several rows read them.
template <int V, class Q>
void attend_block(const Step& s, Block block, int next_row, int head, const float* qkv, const Cache& cache, float* out,
                  Room& room) {
  using T = typename Q::Value;
  constexpr int D = 16 * V;
  int group = s.heads / s.kv_heads, queries = block.count * group, width = (s.heads + 2 * s.kv_heads) * D;
  int last = s.position[block.row + block.count - 1] + 1, sequence = s.sequence[block.row];
  size_t bytes = D * sizeof(T), step = s.kv_heads * bytes;
  bool ahead = next_row < s.rows && s.sequence[next_row] != sequence;
  room.floats.resize(CHUNK * D + (size_t)queries * (D + 2) + (size_t)group * (CHUNK + 1));
  float *wide = room.floats.data(), *sums = wide + CHUNK * D, *top = sums + queries * D, *total = top + queries;
  float *weights = total + queries, *shrink = weights + group * CHUNK;
  std::fill(sums, top, 0.0f);
  std::fill(top, total, -INFINITE);
  std::fill(total, weights, 0.0f);
  const void *key_rows[CHUNK], *value_rows[CHUNK];
  float key_scales[CHUNK], value_scales[CHUNK];
  const float* scales[2] = {};
  constexpr bool scaled = sizeof(T) == 1;
  if (scaled) scales[0] = cache.key_scales + head, scales[1] = cache.value_scales + head;
  for (int from = 0; from < last; from += CHUNK) {
    room.now.find(s, sequence, from, last);
    room.next.find(s, ahead ? s.sequence[next_row] : 0, from, ahead ? s.position[next_row] : 0);
    const char* bases[] = {(const char*)cache.keys + head * bytes, (const char*)cache.values + head * bytes};
    locate(room.now, bases[0], step, scales[0], s.kv_heads, key_rows, key_scales);
    locate(room.now, bases[1], step, scales[1], s.kv_heads, value_rows, value_scales);
    Ahead coming{{bases[0], bases[1]}, room.next.slots, room.next.slots + room.next.n, step, bytes};
    bool unpack = sizeof(T) < 4 && block.count > 1;
    for (int i = 0; unpack && i < room.now.n; i++) {
      float* to = wide + i * D;
      F by = all(scaled ? value_scales[i] : 1.0f);
      for (int d = 0; d < D; d += 16) store(to + d, Q::wide((const T*)value_rows[i] + d) * by);
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
        float larger = std::max(top[one], score(Q(q + g * D), key_rows, key_scales, seen, s.scale, mine, coming));
        shrink[g] = from ? __builtin_expf(top[one] - larger) : 0.0f;
        total[one] = total[one] * shrink[g] + weigh(mine, seen, larger);
        top[one] = larger;
        for (int i = 0; scaled && !unpack && i < seen; i++) mine[i] *= value_scales[i];
      }
      float* to = sums + r * group * D;
      if (unpack) gather_row<V, Query<V>>(to, shrink, weights, value_rows, seen, group, coming);
      else gather_row<V, Q>(to, shrink, weights, value_rows, seen, group, coming);
    }
    coming.fetch(CHUNK);
  }
  for (int one = 0; one < queries; one++) {
    float* to = out + ((size_t)(block.row + one / group) * s.heads + head * group + one % group) * D;
    F by = all(1.0f / total[one]);
    for (int d = 0; d < D; d += 16) store(to + d, load(sums + one * D + d) * by);
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
template <int V, class T>
void write_row(const Step& s, int row, float* qkv, const Cache& cache) {
  constexpr int D = 16 * V;
  int J = s.kv_heads, H = s.heads, place = s.position[row];
  float* mine = qkv + (size_t)row * (H + 2 * J) * D;
  for (int h = 0; h < H + J; h++)
    turn(mine + h * D, s.cos + (size_t)place * D / 2, s.sin + (size_t)place * D / 2, D / 2);
  const int32_t* table = s.pages + s.tables[s.sequence[row]];
  size_t slot = (size_t)table[place / s.page] * s.page + place % s.page;
  for (int which = 0; which < 2; which++)
    for (int head = 0; head < J; head++) {
      const float* source = mine + (H + which * J + head) * D;
      T* to = (T*)(which ? cache.values : cache.keys) + (slot * J + head) * D;
      if constexpr (sizeof(T) == 4) memcpy(to, source, sizeof(float) * D);
      else if constexpr (sizeof(T) == 1)
        (which ? cache.value_scales : cache.key_scales)[slot * J + head] = to_wholes(source, D, to, 0);
      else
        for (int i = 0; i < D; i += 16) to_bf16(to + i, load(source + i));
    }
}

template <int V, class Q>
void attend_all(const Step& s, float* qkv, const Cache& cache, float* out) {
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
      write_row<V, typename Q::Value>(s, row, qkv, cache);
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
        attend_block<V, Q>(s, block, next_row, head, qkv, cache, out, room);
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
void attend_sized(const Step& s, float* qkv, const Cache& cache, float* out) {
  if (s.kind == FP32) attend_all<V, Query<V>>(s, qkv, cache, out);
  if (s.kind == BF16) attend_all<V, Query16<V>>(s, qkv, cache, out);
  if (s.kind == INT8) attend_all<V, Query8<V>>(s, qkv, cache, out);
}

}  // namespace

// qkv [M, (H + 2J) * D] of a layer, not turned yet, and its cache -> out [M, H * D].
extern "C" void attend(const Step* s, float* qkv, const Cache* cache, float* out) {
  switch (s->head_dim / 16) {
    case 1: return attend_sized<1>(*s, qkv, *cache, out);
    case 2: return attend_sized<2>(*s, qkv, *cache, out);
    case 3: return attend_sized<3>(*s, qkv, *cache, out);
    case 4: return attend_sized<4>(*s, qkv, *cache, out);
    case 5: return attend_sized<5>(*s, qkv, *cache, out);
    case 6: return attend_sized<6>(*s, qkv, *cache, out);
    case 8: return attend_sized<8>(*s, qkv, *cache, out);
    case 16: return attend_sized<16>(*s, qkv, *cache, out);
  }
}
