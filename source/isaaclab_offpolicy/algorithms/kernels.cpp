// Copyright (c) 2026, The isaaclab_offpolicy Developers.
// SPDX-License-Identifier: BSD-3-Clause

// What a gradient step does between its matrix products, in as few passes over memory as possible.
//
// Arrays are contiguous. C networks of equal shape are evaluated at once; B is the batch, H the width of a layer; a
// "row" is one of the C * B samples. T is the type in which activations are kept: float, or bfloat16 for matrix
// products in half precision. Sums, statistics, gradients of parameters and parameters are float.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Activation { ELU = 0, RELU = 1, TANH = 2, IDENTITY = 3 };

struct bfloat16 {
  uint16_t bits;
};

inline float load(float x) { return x; }
inline float load(bfloat16 x) {
  uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

inline void store(float* p, float x) { *p = x; }
inline void store(bfloat16* p, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  // to the nearest, to the even one of two
  p->bits = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// exp(x) to about 2 ulp, written so that a loop over it is vectorised: x = n log 2 + r, and the polynomial of Cephes'
// expf for exp(r)
inline float exp_(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  float n = std::rint(x * 1.44269504f);
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits = static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
}

template <int A>
inline float activate(float x) {
  if (A == ELU) return x > 0.0f ? x : exp_(x) - 1.0f;
  if (A == RELU) return x < 0.0f ? 0.0f : x;  // NaN stays NaN
  if (A == TANH) return 1.0f - 2.0f / (exp_(2.0f * x) + 1.0f);
  return x;
}

// the derivative, from the activation's output
template <int A>
inline float slope(float y) {
  if (A == ELU) return y > 0.0f ? 1.0f : y + 1.0f;
  if (A == RELU) return y > 0.0f ? 1.0f : 0.0f;
  if (A == TANH) return 1.0f - y * y;
  return 1.0f;
}

// Rows go through the kernels four at a time: what belongs to a column is loaded once for all four, and four chains of
// sums run beside each other, where one would wait for itself at every addition.
constexpr int64_t ROWS = 4;

// A layer's parameters of one network, each [H]; without normalisation gain and shift are null.
struct Parameters {
  const float* bias;
  const float* gain;
  const float* shift;
};

// Sums over the batch that are the gradients of a layer's parameters, and of a last layer with one output, each [H].
struct Sums {
  float* bias;
  float* gain;
  float* shift;
  float* last;
};

// Room for four rows that stand in where there are less, and for four rows of intermediate results.
inline int64_t scratch_size(int64_t H) { return 2 * ROWS * H; }

// Pointers to four rows from row i on; those behind the end are rows of the scratch.
template <typename T>
inline void four_rows(T* rows[ROWS], T* base, int64_t i, int64_t n, int64_t H, float* scratch) {
  for (int64_t r = 0; r < ROWS; ++r) rows[r] = i + r < n ? base + (i + r) * H : reinterpret_cast<T*>(scratch + r * H);
}

// n rows of one network: out = activation(gain * normalised(z + bias) + shift); q = out . last_weight + last_bias
template <typename T, int A>
void forward_rows(const T* z, Parameters p, const float* last_weight, float last_bias, T* out, float* mean, float* rstd,
                  float* q, int64_t n, int64_t H, float eps, float* scratch) {
  const float *b = p.bias, *g = p.gain, *s = p.shift;
  if (n % ROWS) std::memset(scratch, 0, sizeof(float) * ROWS * H);
  for (int64_t i = 0; i < n; i += ROWS) {
    const int64_t valid = n - i < ROWS ? n - i : ROWS;
    const T* zs[ROWS];
    T* ys[ROWS];
    four_rows(zs, z, i, n, H, scratch);
    four_rows(ys, out, i, n, H, scratch);
    float m[ROWS], rs[ROWS];
    if (g != nullptr) {
      const T *z0 = zs[0], *z1 = zs[1], *z2 = zs[2], *z3 = zs[3];
      float a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
      for (int64_t j = 0; j < H; ++j) {
        a0 += load(z0[j]) + b[j];
        a1 += load(z1[j]) + b[j];
        a2 += load(z2[j]) + b[j];
        a3 += load(z3[j]) + b[j];
      }
      const float m0 = a0 / H, m1 = a1 / H, m2 = a2 / H, m3 = a3 / H;
      a0 = a1 = a2 = a3 = 0.0f;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
      for (int64_t j = 0; j < H; ++j) {
        const float d0 = load(z0[j]) + b[j] - m0, d1 = load(z1[j]) + b[j] - m1;
        const float d2 = load(z2[j]) + b[j] - m2, d3 = load(z3[j]) + b[j] - m3;
        a0 += d0 * d0;
        a1 += d1 * d1;
        a2 += d2 * d2;
        a3 += d3 * d3;
      }
      const float squares[ROWS] = {a0, a1, a2, a3}, means[ROWS] = {m0, m1, m2, m3};
      for (int64_t r = 0; r < ROWS; ++r) {
        m[r] = means[r];
        rs[r] = 1.0f / std::sqrt(squares[r] / H + eps);
      }
      for (int64_t r = 0; r < valid; ++r) {
        mean[i + r] = m[r];
        rstd[i + r] = rs[r];
      }
    }
    for (int64_t r = 0; r < valid; ++r) {
      const T* zr = zs[r];
      T* yr = ys[r];
      if (g != nullptr) {
        const float mr = m[r], rr = rs[r];
#pragma omp simd
        for (int64_t j = 0; j < H; ++j) store(yr + j, activate<A>((load(zr[j]) + b[j] - mr) * rr * g[j] + s[j]));
      } else {
#pragma omp simd
        for (int64_t j = 0; j < H; ++j) store(yr + j, activate<A>(load(zr[j]) + b[j]));
      }
    }
    if (last_weight != nullptr) {
      const T *y0 = ys[0], *y1 = ys[1], *y2 = ys[2], *y3 = ys[3];
      const float* w = last_weight;
      float a0 = 0.0f, a1 = 0.0f, a2 = 0.0f, a3 = 0.0f;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
      for (int64_t j = 0; j < H; ++j) {
        a0 += load(y0[j]) * w[j];
        a1 += load(y1[j]) * w[j];
        a2 += load(y2[j]) * w[j];
        a3 += load(y3[j]) * w[j];
      }
      const float sums[ROWS] = {a0, a1, a2, a3};
      for (int64_t r = 0; r < valid; ++r) q[i + r] = sums[r] + last_bias;
    }
  }
}

// The backward pass of n rows of one network: the gradient with respect to z, in place of z, out of that with respect
// to out (grad), or to q (grad_q) with LAST. With PARAMETERS, adds to the sums.
template <typename T, int A, bool PARAMETERS, bool LAST>
void backward_rows(const T* grad, const float* grad_q, const float* last_weight, const T* out, T* z, Parameters p,
                   const float* mean, const float* rstd, Sums sums, int64_t n, int64_t H, float* scratch) {
  const float *b = p.bias, *g = p.gain, *w = last_weight;
  float *sum_bias = sums.bias, *sum_gain = sums.gain, *sum_shift = sums.shift, *sum_last = sums.last;
  float *t0 = scratch + ROWS * H, *t1 = t0 + H, *t2 = t1 + H, *t3 = t2 + H;
  if (n % ROWS) std::memset(scratch, 0, sizeof(float) * ROWS * H);
  for (int64_t i = 0; i < n; i += ROWS) {
    const int64_t valid = n - i < ROWS ? n - i : ROWS;
    const T *ys[ROWS], *gs[ROWS];
    T* zs[ROWS];
    four_rows(zs, z, i, n, H, scratch);
    four_rows(ys, out, i, n, H, scratch);
    if (!LAST) four_rows(gs, grad, i, n, H, scratch);
    // a row that stands in has no gradient: the gradient it is given, its factors and its sums are zero
    float gq[ROWS] = {}, m[ROWS] = {}, rs[ROWS] = {}, live[ROWS] = {};
    for (int64_t r = 0; r < valid; ++r) {
      if (LAST) gq[r] = grad_q[i + r];
      if (g != nullptr) {
        m[r] = mean[i + r];
        rs[r] = rstd[i + r];
      }
      live[r] = 1.0f;
    }
    const T *y0 = ys[0], *y1 = ys[1], *y2 = ys[2], *y3 = ys[3];
    T *z0 = zs[0], *z1 = zs[1], *z2 = zs[2], *z3 = zs[3];
    if (LAST) {
      const float q0 = gq[0], q1 = gq[1], q2 = gq[2], q3 = gq[3];
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) {
        const float v0 = load(y0[j]), v1 = load(y1[j]), v2 = load(y2[j]), v3 = load(y3[j]);
        if (PARAMETERS) sum_last[j] += q0 * v0 + q1 * v1 + q2 * v2 + q3 * v3;
        t0[j] = q0 * w[j] * slope<A>(v0);
        t1[j] = q1 * w[j] * slope<A>(v1);
        t2[j] = q2 * w[j] * slope<A>(v2);
        t3[j] = q3 * w[j] * slope<A>(v3);
      }
    } else {
      const T *g0 = gs[0], *g1 = gs[1], *g2 = gs[2], *g3 = gs[3];
      const float l0 = live[0], l1 = live[1], l2 = live[2], l3 = live[3];
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) {
        t0[j] = l0 * load(g0[j]) * slope<A>(load(y0[j]));
        t1[j] = l1 * load(g1[j]) * slope<A>(load(y1[j]));
        t2[j] = l2 * load(g2[j]) * slope<A>(load(y2[j]));
        t3[j] = l3 * load(g3[j]) * slope<A>(load(y3[j]));
      }
    }
    if (g != nullptr) {
      const float m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];
      const float r0 = rs[0], r1 = rs[1], r2 = rs[2], r3 = rs[3];
      float f0 = 0.0f, f1 = 0.0f, f2 = 0.0f, f3 = 0.0f, s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
#pragma omp simd reduction(+ : f0, f1, f2, f3, s0, s1, s2, s3)
      for (int64_t j = 0; j < H; ++j) {
        const float x0 = (load(z0[j]) + b[j] - m0) * r0, x1 = (load(z1[j]) + b[j] - m1) * r1;
        const float x2 = (load(z2[j]) + b[j] - m2) * r2, x3 = (load(z3[j]) + b[j] - m3) * r3;
        const float u0 = t0[j], u1 = t1[j], u2 = t2[j], u3 = t3[j];
        if (PARAMETERS) {
          sum_shift[j] += u0 + u1 + u2 + u3;
          sum_gain[j] += u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3;
        }
        f0 += u0 * g[j];
        f1 += u1 * g[j];
        f2 += u2 * g[j];
        f3 += u3 * g[j];
        s0 += u0 * g[j] * x0;
        s1 += u1 * g[j] * x1;
        s2 += u2 * g[j] * x2;
        s3 += u3 * g[j] * x3;
      }
      f0 /= H;
      f1 /= H;
      f2 /= H;
      f3 /= H;
      s0 /= H;
      s1 /= H;
      s2 /= H;
      s3 /= H;
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) {
        const float x0 = (load(z0[j]) + b[j] - m0) * r0, x1 = (load(z1[j]) + b[j] - m1) * r1;
        const float x2 = (load(z2[j]) + b[j] - m2) * r2, x3 = (load(z3[j]) + b[j] - m3) * r3;
        const float d0 = r0 * (t0[j] * g[j] - f0 - x0 * s0), d1 = r1 * (t1[j] * g[j] - f1 - x1 * s1);
        const float d2 = r2 * (t2[j] * g[j] - f2 - x2 * s2), d3 = r3 * (t3[j] * g[j] - f3 - x3 * s3);
        if (PARAMETERS) sum_bias[j] += d0 + d1 + d2 + d3;
        store(z0 + j, d0);
        store(z1 + j, d1);
        store(z2 + j, d2);
        store(z3 + j, d3);
      }
    } else {
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) {
        if (PARAMETERS) sum_bias[j] += t0[j] + t1[j] + t2[j] + t3[j];
        store(z0 + j, t0[j]);
        store(z1 + j, t1[j]);
        store(z2 + j, t2[j]);
        store(z3 + j, t3[j]);
      }
    }
  }
}

// The kernels for an activation that is known at run time.
template <typename T>
auto forward_of(int activation) {
  switch (activation) {
    case RELU:
      return forward_rows<T, RELU>;
    case TANH:
      return forward_rows<T, TANH>;
    case IDENTITY:
      return forward_rows<T, IDENTITY>;
    default:
      return forward_rows<T, ELU>;
  }
}

template <typename T, bool PARAMETERS, bool LAST>
auto backward_of_last(int activation) {
  switch (activation) {
    case RELU:
      return backward_rows<T, RELU, PARAMETERS, LAST>;
    case TANH:
      return backward_rows<T, TANH, PARAMETERS, LAST>;
    case IDENTITY:
      return backward_rows<T, IDENTITY, PARAMETERS, LAST>;
    default:
      return backward_rows<T, ELU, PARAMETERS, LAST>;
  }
}

template <typename T>
auto backward_of(int activation, bool parameters, bool last) {
  if (parameters) {
    return last ? backward_of_last<T, true, true>(activation) : backward_of_last<T, true, false>(activation);
  }
  return last ? backward_of_last<T, false, true>(activation) : backward_of_last<T, false, false>(activation);
}

// sum[j] = the j-th numbers of several parts that lie `stride` apart, added in their order
void add_parts(float* sum, const float* parts, int64_t count, int64_t stride, int64_t H) {
  for (int64_t j = 0; j < H; ++j) sum[j] = 0.0f;
  for (int64_t k = 0; k < count; ++k) {
    const float* part = parts + k * stride;
#pragma omp simd
    for (int64_t j = 0; j < H; ++j) sum[j] += part[j];
  }
}

// Fortran's sgemm: matrices by columns, so that a row of ours is a column of its.
using Sgemm = void (*)(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
                       const int*, const float*, const int*, const float*, float*, const int*);

// c [rows, columns] = a b, all by rows; a is [rows, inner] (or, transposed, [inner, rows]), b is [inner, columns] (or
// [columns, inner]); with the distance of their stored rows
void multiply(Sgemm gemm, bool a_transposed, bool b_transposed, int64_t rows, int64_t columns, int64_t inner,
              const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride) {
  const int m = columns, n = rows, k = inner, lda = b_stride, ldb = a_stride, ldc = c_stride;
  const float one = 1.0f, zero = 0.0f;
  gemm(b_transposed ? "T" : "N", a_transposed ? "T" : "N", &m, &n, &k, &one, b, &lda, a, &ldb, &zero, c, &ldc);
}

// A layer of C networks, as fused.py declares it: weights [C, inputs, outputs]; their gradients are of the same shape,
// or transposed [outputs, inputs], of one network; z and out [C, B, outputs], mean and rstd [C, B].
struct Layer {
  int64_t inputs, outputs, transposed, activation;
  const float *weight, *bias, *gain, *shift;
  float *z, *out, *mean, *rstd;
  float *weight_grad, *bias_grad, *gain_grad, *shift_grad;
};

// Layers one after the other, and perhaps a last one with a single output, q [C, B]. A block is a number of rows that
// go through all layers while they are in the cache; threads share the blocks of all networks.
struct Stack {
  int64_t layers, networks, batch, block;
  const Layer* layer;
  const float *last_weight, *last_bias;
  float *last_weight_grad, *last_bias_grad, *q;
};

Parameters parameters_of(const Layer& layer, int64_t c) {
  const int64_t i = c * layer.outputs;
  return {layer.bias + i, layer.gain ? layer.gain + i : nullptr, layer.shift ? layer.shift + i : nullptr};
}

int64_t widest(const Stack& s) {
  int64_t result = 0;
  for (int64_t l = 0; l < s.layers; ++l) result = std::max(result, s.layer[l].outputs);
  return result;
}

// A thread's part of the workspace: the rows' scratch, a block of inputs, and a block of two layers in turns.
struct Room {
  float *scratch, *inputs, *hidden[2];

  static int64_t size(const Stack& s) {
    return scratch_size(widest(s)) + s.block * (s.layer[0].inputs + 2 * widest(s));
  }

  Room(const Stack& s, float* workspace) {
    scratch = workspace + omp_get_thread_num() * size(s);
    inputs = scratch + scratch_size(widest(s));
    hidden[0] = inputs + s.block * s.layer[0].inputs;
    hidden[1] = hidden[0] + s.block * widest(s);
  }
};

}  // namespace

extern "C" {

// out = activation(gain * normalised(z + bias) + shift), without gain: activation(z + bias); z and out [C, B, H].
// mean and rstd [C, B] are kept for the backward pass. With last_weight [C, H], q = out . last_weight + last_bias.
// workspace has threads * 8 * H numbers.
void layer_forward(int half, int activation, const void* z, const float* bias, const float* gain, const float* shift,
                   const float* last_weight, const float* last_bias, void* out, float* mean, float* rstd, float* q,
                   float* workspace, int64_t C, int64_t B, int64_t H, float eps, int threads) {
  auto run = [&](auto function, auto zero) {
    using T = decltype(zero);
#pragma omp parallel num_threads(threads)
    {
      const int64_t t = omp_get_thread_num(), n = omp_get_num_threads();
      for (int64_t c = 0; c < C; ++c) {
        const int64_t begin = B * t / n, end = B * (t + 1) / n, row = c * B + begin;
        function(static_cast<const T*>(z) + row * H,
                 Parameters{bias + c * H, gain ? gain + c * H : nullptr, shift ? shift + c * H : nullptr},
                 last_weight ? last_weight + c * H : nullptr, last_bias ? last_bias[c] : 0.0f,
                 static_cast<T*>(out) + row * H, mean + row, rstd + row, q + row, end - begin, H, eps,
                 workspace + t * scratch_size(H));
      }
    }
  };
  half ? run(forward_of<bfloat16>(activation), bfloat16{}) : run(forward_of<float>(activation), 0.0f);
}

// The gradient of the loss with respect to z, in place of z, out of that with respect to out (grad) or to q (grad_q).
// With parameters, also the sums over the batch that are the gradients of bias, gain, shift and last_weight. workspace
// has threads * (4 * C + 8) * H numbers. Each thread sums its rows into a part of its own, and the parts are added in
// their order, so that the result does not depend on which is faster.
void layer_backward(int half, int activation, int parameters, const void* grad, const float* grad_q,
                    const float* last_weight, const void* out, void* z, const float* bias, const float* gain,
                    const float* mean, const float* rstd, float* sum_bias, float* sum_gain, float* sum_shift,
                    float* sum_last, float* workspace, int64_t C, int64_t B, int64_t H, int threads) {
  const int64_t stride = 4 * C * H + scratch_size(H);
  auto run = [&](auto function, auto zero) {
    using T = decltype(zero);
#pragma omp parallel num_threads(threads)
    {
      const int64_t t = omp_get_thread_num(), n = omp_get_num_threads();
      float* mine = workspace + t * stride;
      if (parameters) std::memset(mine, 0, sizeof(float) * 4 * C * H);
      for (int64_t c = 0; c < C; ++c) {
        float* part = mine + 4 * c * H;
        const int64_t begin = B * t / n, end = B * (t + 1) / n, row = c * B + begin;
        function(grad ? static_cast<const T*>(grad) + row * H : nullptr, grad_q ? grad_q + row : nullptr,
                 last_weight ? last_weight + c * H : nullptr, static_cast<const T*>(out) + row * H,
                 static_cast<T*>(z) + row * H, Parameters{bias + c * H, gain ? gain + c * H : nullptr, nullptr},
                 mean + row, rstd + row, Sums{part, part + H, part + 2 * H, part + 3 * H}, end - begin, H,
                 mine + 4 * C * H);
      }
      if (parameters) {
#pragma omp barrier
#pragma omp for schedule(static)
        for (int64_t c = 0; c < C; ++c) {
          float* targets[4] = {sum_bias, sum_gain, sum_shift, sum_last};
          for (int64_t k = 0; k < 4; ++k) {
            if (targets[k] != nullptr) add_parts(targets[k] + c * H, workspace + (4 * c + k) * H, n, stride, H);
          }
        }
      }
    }
  };
  const bool last = last_weight != nullptr;
  half ? run(backward_of<bfloat16>(activation, parameters, last), bfloat16{})
       : run(backward_of<float>(activation, parameters, last), 0.0f);
}

// Numbers that stack_forward (without parameters) and stack_backward need in their workspace.
int64_t stack_workspace(const Stack* stack, int parameters, int threads) {
  const Stack& s = *stack;
  int64_t all = 0;
  for (int64_t l = 0; l < s.layers; ++l) all += s.layer[l].outputs;
  const int64_t blocks = (s.batch + s.block - 1) / s.block;
  return threads * Room::size(s) + (parameters ? s.networks * blocks * 4 * all : 0);
}

// Evaluates inputs that are two arrays side by side, [B, columns] and the rest, or one alone (more is null). The last
// layer's outputs are in its out; those of the others and z only with keep, and two arrays then in x [B, inputs].
void stack_forward(Sgemm gemm, const Stack* stack, const float* input_, int64_t columns, const float* more, float* x,
                   int keep, float eps, float* workspace, int threads) {
  const Stack& s = *stack;
  const int64_t B = s.batch, blocks = (B + s.block - 1) / s.block;
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t task = 0; task < s.networks * blocks; ++task) {
    const Room room(s, workspace);
    const int64_t c = task / blocks, begin = task % blocks * s.block, row = c * B + begin;
    const int64_t n = std::min(s.block, B - begin);
    const float* input = input_ + begin * columns;
    if (more != nullptr) {
      const int64_t inputs = s.layer[0].inputs, rest = inputs - columns;
      for (int64_t i = 0; i < n; ++i) {
        std::memcpy(room.inputs + i * inputs, input + i * columns, sizeof(float) * columns);
        std::memcpy(room.inputs + i * inputs + columns, more + (begin + i) * rest, sizeof(float) * rest);
      }
      if (keep && c == 0) std::memcpy(x + begin * inputs, room.inputs, sizeof(float) * n * inputs);
      input = room.inputs;
    }
    for (int64_t l = 0; l < s.layers; ++l) {
      const Layer& layer = s.layer[l];
      const int64_t I = layer.inputs, H = layer.outputs;
      const bool top = l == s.layers - 1, last = top && s.last_weight != nullptr;
      float* out = keep || top ? layer.out + row * H : room.hidden[l % 2];
      float* z = keep ? layer.z + row * H : out;
      multiply(gemm, false, false, n, H, I, input, I, layer.weight + c * I * H, H, z, H);
      forward_of<float>(layer.activation)(z, parameters_of(layer, c), last ? s.last_weight + c * H : nullptr,
                                          last ? s.last_bias[c] : 0.0f, out, layer.mean + row, layer.rstd + row,
                                          s.q + row, n, H, eps, room.scratch);
      input = out;
    }
  }
}

// Backward pass of stack_forward with keep, from the gradient with respect to q or to the last layer's outputs: with
// parameters the gradients of all of them, and with input_grad [C, B, inputs - first] that of the inputs from one on.
// Sums over the batch are made block by block and added in their order: which thread did what makes no difference.
void stack_backward(Sgemm gemm, const Stack* stack, const float* x, const float* grad, int parameters,
                    float* input_grad, int64_t first, float* workspace, int threads) {
  const Stack& s = *stack;
  const int64_t B = s.batch, blocks = (B + s.block - 1) / s.block;
  float* parts = workspace + threads * Room::size(s);
  int64_t all = 0;
  double work = 0.0;
  for (int64_t l = 0; l < s.layers; ++l) {
    all += s.layer[l].outputs;
    work += static_cast<double>(s.networks) * s.layer[l].inputs * s.layer[l].outputs;
  }
  // gradients of weights in pieces that keep all threads busy: rows of the stored gradients, [begin, end)
  struct Piece {
    int64_t network, layer, begin, end;
    double work;
  };
  std::vector<Piece> pieces;
  for (int64_t l = 0; parameters && l < s.layers; ++l) {
    const Layer& layer = s.layer[l];
    const double one = static_cast<double>(layer.inputs) * layer.outputs;
    const int64_t rows = layer.transposed ? layer.outputs : layer.inputs;
    const int64_t count = std::min<int64_t>(rows, std::ceil(one / (work / threads)));
    for (int64_t c = 0; c < s.networks; ++c) {
      for (int64_t k = 0; k < count; ++k) {
        pieces.push_back({c, l, rows * k / count, rows * (k + 1) / count, one / count});
      }
    }
  }
  // the largest first
  std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.work > b.work; });
  const int64_t count = pieces.size();
#pragma omp parallel num_threads(threads)
  {
    const Room room(s, workspace);
#pragma omp for schedule(static)
    for (int64_t task = 0; task < s.networks * blocks; ++task) {
      const int64_t c = task / blocks, begin = task % blocks * s.block, row = c * B + begin;
      const int64_t n = std::min(s.block, B - begin);
      float* part = parts + task * 4 * all;
      if (parameters) std::memset(part, 0, sizeof(float) * 4 * all);
      for (int64_t l = s.layers - 1; l >= 0; --l) {
        const Layer& layer = s.layer[l];
        const int64_t I = layer.inputs, H = layer.outputs;
        const bool top = l == s.layers - 1, last = top && s.last_weight != nullptr;
        float* z = layer.z + row * H;
        backward_of<float>(layer.activation, parameters, last)(
            top ? grad + row * H : room.hidden[l % 2], last ? grad + row : nullptr,
            last ? s.last_weight + c * H : nullptr, layer.out + row * H, z, parameters_of(layer, c), layer.mean + row,
            layer.rstd + row, Sums{part, part + H, part + 2 * H, part + 3 * H}, n, H, room.scratch);
        part += 4 * H;
        // weights [inputs, outputs] from an input on
        const int64_t skip = l ? 0 : first, columns = I - skip;
        float* below = input_grad ? input_grad + row * columns : nullptr;
        if (l) below = room.hidden[(l - 1) % 2];
        const float* weight = layer.weight + (c * I + skip) * H;
        if (below) multiply(gemm, false, true, n, columns, H, z, H, weight, H, below, columns);
      }
    }
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t k = 0; k < count; ++k) {
      const Piece& piece = pieces[k];
      const int64_t c = piece.network, rows = piece.end - piece.begin;
      const Layer& layer = s.layer[piece.layer];
      const int64_t I = layer.inputs, H = layer.outputs;
      const float* input = piece.layer ? s.layer[piece.layer - 1].out + c * B * I : x;
      const float* z = layer.z + c * B * H;
      float* result = layer.weight_grad + c * I * H + piece.begin * (layer.transposed ? I : H);
      if (layer.transposed) {
        multiply(gemm, true, false, rows, I, B, z + piece.begin, H, input, I, result, I);
      } else {
        multiply(gemm, true, false, rows, H, B, input + piece.begin, I, z, H, result, H);
      }
    }
    if (parameters) {
#pragma omp for schedule(static)
      for (int64_t c = 0; c < s.networks; ++c) {
        const float* part = parts + c * blocks * 4 * all;
        for (int64_t l = s.layers - 1; l >= 0; --l) {
          const Layer& layer = s.layer[l];
          const int64_t H = layer.outputs;
          const bool last = l == s.layers - 1 && s.last_weight != nullptr;
          float* targets[4] = {layer.bias_grad, layer.gain_grad, layer.shift_grad, last ? s.last_weight_grad : nullptr};
          for (int64_t k = 0; k < 4; ++k) {
            if (targets[k] != nullptr) add_parts(targets[k] + c * H, part + k * H, blocks, 4 * all, H);
          }
          part += 4 * H;
        }
        if (s.last_bias_grad != nullptr) {
          float sum = 0.0f;
          for (int64_t i = 0; i < B; ++i) sum += grad[c * B + i];
          s.last_bias_grad[c] = sum;
        }
      }
    }
  }
}

// Unit actions and their log-probabilities, as SquashedGaussianDistribution.rsample_unit has them, from the actor's
// outputs [B, 2, A] and normal noise [B, A]; action is [B, A], log_prob [B].
void sample_actions(const float* output, const float* noise, float lowest_log_std, float highest_log_std, float* action,
                    float* log_prob, int64_t B, int64_t A, int threads) {
  const float log_4 = 1.38629436f, half_log_2_pi = 0.918938533f;
  // some rows at once, side by side: a row alone is too short for a vectorised loop
  const int64_t rows = 16;
#pragma omp parallel num_threads(threads)
  {
    std::vector<float> columns(4 * rows * A);
    float *m = columns.data(), *l = m + rows * A, *x = l + rows * A, *p = x + rows * A;
#pragma omp for schedule(static)
    for (int64_t begin = 0; begin < B; begin += rows) {
      const int64_t n = std::min(rows, B - begin);
      for (int64_t i = 0; i < n; ++i) {
        const float* row = output + (begin + i) * 2 * A;
        std::memcpy(m + i * A, row, sizeof(float) * A);
        std::memcpy(l + i * A, row + A, sizeof(float) * A);
        std::memcpy(x + i * A, noise + (begin + i) * A, sizeof(float) * A);
      }
#pragma omp simd
      for (int64_t k = 0; k < n * A; ++k) {
        float ls = l[k];
        ls = ls < lowest_log_std ? lowest_log_std : ls;
        ls = ls > highest_log_std ? highest_log_std : ls;
        const float u = m[k] + exp_(ls) * x[k], size = std::fabs(u);
        // with t = exp(-2 |u|): tanh |u| = (1 - t) / (1 + t), and log(1 - tanh^2 u) = log 4 - 2 |u| - 2 log(1 + t);
        // log(1 + t) = 2 artanh(t / (2 + t)) by its series, whose next term is below 2e-9
        const float t = exp_(-2.0f * size), s = t / (2.0f + t), s2 = s * s;
        float series = 1.0f / 13 + s2 / 15;
        series = 1.0f / 11 + s2 * series;
        series = 1.0f / 9 + s2 * series;
        series = 1.0f / 7 + s2 * series;
        series = 1.0f / 5 + s2 * series;
        series = s * (1.0f + s2 * (1.0f / 3 + s2 * series));
        p[k] = 0.5f * x[k] * x[k] + ls + half_log_2_pi + (log_4 - 2.0f * size - 4.0f * series);
        m[k] = std::copysign((1.0f - t) / (1.0f + t), u);
      }
      for (int64_t i = 0; i < n; ++i) {
        std::memcpy(action + (begin + i) * A, m + i * A, sizeof(float) * A);
        float sum = 0.0f;
        for (int64_t j = 0; j < A; ++j) sum += p[i * A + j];
        log_prob[begin + i] = -sum;
      }
    }
  }
}

// What Update.target and Update.critic_loss do: the gradient of the loss with respect to q [C, B], and the metrics,
// from the targets' values next_q [C, B] and the other columns of the batch [B].
void critic_loss(const float* q, const float* next_q, const float* reward, const float* discount, const float* weight,
                 const float* log_prob, const float* alpha, int minimum, float* grad, float* metrics, int64_t C,
                 int64_t B) {
  double first = 0.0, last = 0.0, all = 0.0, values = 0.0, errors = 0.0;
  for (int64_t i = 0; i < B; ++i) {
    float value = next_q[i];
    for (int64_t c = 1; c < C; ++c) {
      const float other = next_q[c * B + i];
      // NaN stays NaN
      value = minimum ? (other < value || other != other ? other : value) : value + other;
    }
    if (!minimum) value /= C;
    const float target = reward[i] + discount[i] * (value - *alpha * log_prob[i]);
    for (int64_t c = 0; c < C; ++c) {
      const float error = q[c * B + i] - target, loss = 0.5f * weight[i] * error * error;
      grad[c * B + i] = error * (weight[i] / B);
      if (c == 0) first += loss;
      if (c == C - 1) last += loss;
      all += loss;
      values += q[c * B + i];
      errors += std::fabs(error);
    }
  }
  metrics[0] = first / B;
  metrics[1] = last / B;
  metrics[2] = all / B;
  metrics[3] = values / (B * C);
  metrics[4] = errors / (B * C);
}

// What Update.actor_loss does, first half: the gradient of the loss with respect to q [C, B], and the loss. A minimum
// that several critics share is theirs in equal parts.
float actor_loss(const float* q, const float* log_prob, const float* alpha, int minimum, float* grad, int64_t C,
                 int64_t B) {
  double loss = 0.0;
  for (int64_t i = 0; i < B; ++i) {
    float value = q[i], sharing = 0.0f;
    for (int64_t c = 1; c < C; ++c) {
      const float other = q[c * B + i];
      value = minimum ? (other < value || other != other ? other : value) : value + other;
    }
    if (!minimum) value /= C;
    for (int64_t c = 0; c < C; ++c) sharing += !minimum || q[c * B + i] == value;
    for (int64_t c = 0; c < C; ++c) {
      grad[c * B + i] = !minimum || q[c * B + i] == value ? -1.0f / (sharing * B) : 0.0f;
    }
    loss += *alpha * log_prob[i] - value;
  }
  return loss / B;
}

// Second half: the gradient with respect to the actor's outputs [B, 2, A], from that of the actions, the sum over
// grad_action [C, B, A]; output, noise and action are those of sample_actions.
void sample_actions_backward(const float* output, const float* noise, const float* action, const float* grad_action,
                             const float* alpha, float lowest_log_std, float highest_log_std, float* grad, int64_t C,
                             int64_t B, int64_t A) {
  // of the mean over the batch of alpha times the log-probability
  const float of_log_prob = *alpha / B;
  for (int64_t i = 0; i < B; ++i) {
    const float *log_std = output + i * 2 * A + A, *a = action + i * A, *e = noise + i * A;
    float *of_mean = grad + i * 2 * A, *of_log_std = of_mean + A;
#pragma omp simd
    for (int64_t j = 0; j < A; ++j) {
      float of_action = 0.0f;
      for (int64_t c = 0; c < C; ++c) of_action += grad_action[(c * B + i) * A + j];
      // d tanh(u) / du = 1 - a^2, d log(1 - tanh^2 u) / du = -2 a
      const float of_u = of_action * (1.0f - a[j] * a[j]) + of_log_prob * 2.0f * a[j];
      const bool clamped = log_std[j] < lowest_log_std || log_std[j] > highest_log_std;
      of_mean[j] = of_u;
      of_log_std[j] = clamped ? 0.0f : of_u * exp_(log_std[j]) * e[j] - of_log_prob;
    }
  }
}

// AdamW (Loshchilov and Hutter 2019) over several arrays, and the step of the targets towards the new weights.
// Gradients are float, or bfloat16 where half_grad has a pointer. target, half_weight and half_target may hold null
// pointers; the halves are bfloat16 copies for matrix products. The numbers of steps are counted up, and are the same
// for all arrays.
void adamw(int64_t arrays, const int64_t* sizes, float* const* steps, float* const* weight, const float* const* grad,
           const uint16_t* const* half_grad, float* const* first, float* const* second, float* const* target,
           uint16_t* const* half_weight, uint16_t* const* half_target, float scale, double beta1_, double beta2_,
           double rate, float eps, float decay, float tau, int threads) {
  for (int64_t a = 0; a < arrays; ++a) *steps[a] += 1.0f;
  const float beta1 = beta1_, beta2 = beta2_, step_size = rate / (1.0 - std::pow(beta1_, *steps[0]));
  const float root_correction = 1.0 / std::sqrt(1.0 - std::pow(beta2_, *steps[0]));
#pragma omp parallel num_threads(threads)
  for (int64_t a = 0; a < arrays; ++a) {
    float* w = weight[a];
    float* m = first[a];
    float* v = second[a];
    float* t = target[a];
    bfloat16* hw = reinterpret_cast<bfloat16*>(half_weight[a]);
    bfloat16* ht = reinterpret_cast<bfloat16*>(half_target[a]);
    auto update = [&](auto* g, int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const float gi = load(g[i]) * scale;
        const float mi = m[i] + (1.0f - beta1) * (gi - m[i]);
        const float vi = beta2 * v[i] + (1.0f - beta2) * gi * gi;
        m[i] = mi;
        v[i] = vi;
        w[i] = w[i] - decay * w[i] - step_size * mi / (std::sqrt(vi) * root_correction + eps);
      }
    };
    // blocks, so that what one loop leaves in the cache is there for the next
    const int64_t block = 2048;
#pragma omp for schedule(static) nowait
    for (int64_t begin = 0; begin < sizes[a]; begin += block) {
      const int64_t end = begin + block < sizes[a] ? begin + block : sizes[a];
      if (half_grad[a] != nullptr) {
        update(reinterpret_cast<const bfloat16*>(half_grad[a]), begin, end);
      } else {
        update(grad[a], begin, end);
      }
      if (t != nullptr) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) t[i] = t[i] + tau * (w[i] - t[i]);
      }
      if (hw != nullptr) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) store(hw + i, w[i]);
      }
      if (ht != nullptr) {
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) store(ht + i, t[i]);
      }
    }
  }
}

// What a gradient step of the critics works on, as fused.py declares it: three networks, of which targets and critics
// have the same q; room for the next actions [B, A], their log-probabilities [B], the targets' values and the gradients
// [C, B], and the critics' inputs; and what adamw takes.
struct CriticUpdate {
  const Stack *actor, *target, *critic;
  float *action, *log_prob, *next_q, *grad_q, *inputs, *workspace;
  int64_t actions, minimum, arrays;
  const int64_t* sizes;
  float *const *steps, *const *weight;
  const float* const* grad;
  const uint16_t* const* half_grad;
  float *const *first, *const *second, *const *target_weight;
  uint16_t *const *half_weight, *const *half_target;
};

// A gradient step of the critics from the columns of a batch, all in one call. The gradients are left where they are.
void critic_update(Sgemm gemm, const CriticUpdate* update, const float* obs, const float* action, const float* reward,
                   const float* discount, const float* weight, const float* next_obs, const float* actor_next_obs,
                   const float* noise, const float* alpha, float* metrics, float lowest_log_std, float highest_log_std,
                   float norm_eps, double beta1, double beta2, double rate, float eps, float decay, float tau,
                   int threads) {
  const CriticUpdate& u = *update;
  const int64_t B = u.critic->batch, C = u.critic->networks, A = u.actions, inputs = u.critic->layer[0].inputs;
  const Stack& actor = *u.actor;
  stack_forward(gemm, u.actor, actor_next_obs, actor.layer[0].inputs, nullptr, nullptr, 0, norm_eps, u.workspace,
                threads);
  const float* output = actor.layer[actor.layers - 1].out;
  sample_actions(output, noise, lowest_log_std, highest_log_std, u.action, u.log_prob, B, A, threads);
  stack_forward(gemm, u.target, next_obs, inputs - A, u.action, nullptr, 0, norm_eps, u.workspace, threads);
  std::memcpy(u.next_q, u.target->q, sizeof(float) * C * B);
  stack_forward(gemm, u.critic, obs, inputs - A, action, u.inputs, 1, norm_eps, u.workspace, threads);
  critic_loss(u.critic->q, u.next_q, reward, discount, weight, u.log_prob, alpha, u.minimum, u.grad_q, metrics, C, B);
  stack_backward(gemm, u.critic, u.inputs, u.grad_q, 1, nullptr, 0, u.workspace, threads);
  adamw(u.arrays, u.sizes, u.steps, u.weight, u.grad, u.half_grad, u.first, u.second, u.target_weight, u.half_weight,
        u.half_target, 1.0f, beta1, beta2, rate, eps, decay, tau, threads);
}

}  // extern "C"
