// Copyright (c) 2026, The isaaclab_offpolicy Developers.
// SPDX-License-Identifier: BSD-3-Clause

// What a gradient step does between its matrix products, in as few passes over memory as possible.
//
// Arrays are contiguous. C networks of equal shape are evaluated at once; B is the batch, H the width of a layer; a
// "row" is one of the C * B samples. T is the type in which activations are kept: float, or bfloat16 for matrix products
// in half precision. Sums, statistics, gradients of parameters and parameters are float.

#include <omp.h>

#include <cmath>
#include <cstdint>
#include <cstring>

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

template <typename T, int A>
void forward(const T* z, const float* bias, const float* gain, const float* shift, const float* last_weight,
             const float* last_bias, T* out, float* mean, float* rstd, float* q, int64_t C, int64_t B, int64_t H,
             float eps, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t row = 0; row < C * B; ++row) {
    const int64_t c = row / B;
    const T* zr = z + row * H;
    T* yr = out + row * H;
    const float* b = bias + c * H;
    if (gain != nullptr) {
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (int64_t j = 0; j < H; ++j) sum += load(zr[j]) + b[j];
      const float m = sum / H;
      float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
      for (int64_t j = 0; j < H; ++j) {
        const float d = load(zr[j]) + b[j] - m;
        squares += d * d;
      }
      const float rs = 1.0f / std::sqrt(squares / H + eps);
      mean[row] = m;
      rstd[row] = rs;
      const float* g = gain + c * H;
      const float* s = shift + c * H;
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) store(yr + j, activate<A>((load(zr[j]) + b[j] - m) * rs * g[j] + s[j]));
    } else {
#pragma omp simd
      for (int64_t j = 0; j < H; ++j) store(yr + j, activate<A>(load(zr[j]) + b[j]));
    }
    if (last_weight != nullptr) {
      const float* w = last_weight + c * H;
      float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
      for (int64_t j = 0; j < H; ++j) sum += load(yr[j]) * w[j];
      q[row] = sum + last_bias[c];
    }
  }
}

// Sums over the batch that a layer's parameters get, each [C, H]. Each thread sums its rows into a workspace of its own,
// and the threads' sums are added in their order, so that the result does not depend on which is faster.
struct Sums {
  float* bias;
  float* gain;
  float* shift;
  float* last;
};

template <typename T, int A, bool PARAMETERS>
void backward(const T* grad, const float* grad_q, const float* last_weight, const T* out, T* z, const float* bias,
              const float* gain, const float* mean, const float* rstd, Sums sums, float* workspace, int64_t C, int64_t B,
              int64_t H, int threads) {
  const bool norm = gain != nullptr;
  // per thread: four sums of each network, and two rows
  const int64_t stride = 4 * C * H + 2 * H;
#pragma omp parallel num_threads(threads)
  {
    const int t = omp_get_thread_num();
    const int n = omp_get_num_threads();
    float* mine = workspace + t * stride;
    float* ts = mine + 4 * C * H;
    float* xs = ts + H;
    if (PARAMETERS) std::memset(mine, 0, sizeof(float) * 4 * C * H);
    for (int64_t c = 0; c < C; ++c) {
      float* sum_bias = mine + (4 * c + 0) * H;
      float* sum_gain = mine + (4 * c + 1) * H;
      float* sum_shift = mine + (4 * c + 2) * H;
      float* sum_last = mine + (4 * c + 3) * H;
      const float* b = bias + c * H;
      const float* g = norm ? gain + c * H : nullptr;
      const float* w = last_weight != nullptr ? last_weight + c * H : nullptr;
      for (int64_t i = B * t / n; i < B * (t + 1) / n; ++i) {
        const int64_t row = c * B + i;
        const T* yr = out + row * H;
        T* zr = z + row * H;
        if (w != nullptr) {
          const float gq = grad_q[row];
          if (PARAMETERS) {
#pragma omp simd
            for (int64_t j = 0; j < H; ++j) sum_last[j] += gq * load(yr[j]);
          }
#pragma omp simd
          for (int64_t j = 0; j < H; ++j) ts[j] = gq * w[j] * slope<A>(load(yr[j]));
        } else {
          const T* gr = grad + row * H;
#pragma omp simd
          for (int64_t j = 0; j < H; ++j) ts[j] = load(gr[j]) * slope<A>(load(yr[j]));
        }
        if (norm) {
          const float m = mean[row], rs = rstd[row];
          float first = 0.0f, second = 0.0f;
#pragma omp simd reduction(+ : first, second)
          for (int64_t j = 0; j < H; ++j) {
            const float x = (load(zr[j]) + b[j] - m) * rs;
            const float gz = ts[j];
            if (PARAMETERS) {
              sum_shift[j] += gz;
              sum_gain[j] += gz * x;
            }
            const float scaled = gz * g[j];
            first += scaled;
            second += scaled * x;
            ts[j] = scaled;
            xs[j] = x;
          }
          first /= H;
          second /= H;
#pragma omp simd
          for (int64_t j = 0; j < H; ++j) ts[j] = rs * (ts[j] - first - xs[j] * second);
        }
        if (PARAMETERS) {
#pragma omp simd
          for (int64_t j = 0; j < H; ++j) sum_bias[j] += ts[j];
        }
#pragma omp simd
        for (int64_t j = 0; j < H; ++j) store(zr + j, ts[j]);
      }
    }
    if (PARAMETERS) {
#pragma omp barrier
#pragma omp for schedule(static)
      for (int64_t c = 0; c < C; ++c) {
        float* targets[4] = {sums.bias, sums.gain, sums.shift, sums.last};
        for (int k = 0; k < 4; ++k) {
          if (targets[k] == nullptr) continue;
          float* target = targets[k] + c * H;
          for (int64_t j = 0; j < H; ++j) target[j] = 0.0f;
          for (int other = 0; other < n; ++other) {
            const float* theirs = workspace + other * stride + (4 * c + k) * H;
#pragma omp simd
            for (int64_t j = 0; j < H; ++j) target[j] += theirs[j];
          }
        }
      }
    }
  }
}

template <typename T>
void forward_any(int activation, const void* z, const float* bias, const float* gain, const float* shift,
                 const float* last_weight, const float* last_bias, void* out, float* mean, float* rstd, float* q,
                 int64_t C, int64_t B, int64_t H, float eps, int threads) {
  const T* zt = static_cast<const T*>(z);
  T* yt = static_cast<T*>(out);
  auto run = [&](auto function) {
    function(zt, bias, gain, shift, last_weight, last_bias, yt, mean, rstd, q, C, B, H, eps, threads);
  };
  if (activation == ELU) run(forward<T, ELU>);
  if (activation == RELU) run(forward<T, RELU>);
  if (activation == TANH) run(forward<T, TANH>);
  if (activation == IDENTITY) run(forward<T, IDENTITY>);
}

template <typename T, bool PARAMETERS>
void backward_any(int activation, const void* grad, const float* grad_q, const float* last_weight, const void* out,
                  void* z, const float* bias, const float* gain, const float* mean, const float* rstd, Sums sums,
                  float* workspace, int64_t C, int64_t B, int64_t H, int threads) {
  const T* gt = static_cast<const T*>(grad);
  const T* yt = static_cast<const T*>(out);
  T* zt = static_cast<T*>(z);
  auto run = [&](auto function) {
    function(gt, grad_q, last_weight, yt, zt, bias, gain, mean, rstd, sums, workspace, C, B, H, threads);
  };
  if (activation == ELU) run(backward<T, ELU, PARAMETERS>);
  if (activation == RELU) run(backward<T, RELU, PARAMETERS>);
  if (activation == TANH) run(backward<T, TANH, PARAMETERS>);
  if (activation == IDENTITY) run(backward<T, IDENTITY, PARAMETERS>);
}

}  // namespace

extern "C" {

// out = activation(gain * normalised(z + bias) + shift), without gain: activation(z + bias); z and out [C, B, H].
// mean and rstd [C, B] are kept for the backward pass. With last_weight [C, H], q = out . last_weight + last_bias.
void layer_forward(int half, int activation, const void* z, const float* bias, const float* gain, const float* shift,
                   const float* last_weight, const float* last_bias, void* out, float* mean, float* rstd, float* q,
                   int64_t C, int64_t B, int64_t H, float eps, int threads) {
  auto run = half ? forward_any<bfloat16> : forward_any<float>;
  run(activation, z, bias, gain, shift, last_weight, last_bias, out, mean, rstd, q, C, B, H, eps, threads);
}

// The gradient of the loss with respect to z, in place of z, out of that with respect to out (grad) or to q (grad_q).
// With parameters, also the sums over the batch that are the gradients of bias, gain, shift and last_weight; workspace
// then has threads * (4 * C + 2) * H numbers, and 2 * H per thread otherwise suffice at the same stride.
void layer_backward(int half, int activation, int parameters, const void* grad, const float* grad_q,
                    const float* last_weight, const void* out, void* z, const float* bias, const float* gain,
                    const float* mean, const float* rstd, float* sum_bias, float* sum_gain, float* sum_shift,
                    float* sum_last, float* workspace, int64_t C, int64_t B, int64_t H, int threads) {
  auto with = half ? backward_any<bfloat16, true> : backward_any<float, true>;
  auto without = half ? backward_any<bfloat16, false> : backward_any<float, false>;
  auto run = parameters ? with : without;
  run(activation, grad, grad_q, last_weight, out, z, bias, gain, mean, rstd, Sums{sum_bias, sum_gain, sum_shift, sum_last},
      workspace, C, B, H, threads);
}

// AdamW (Loshchilov and Hutter 2019) over several arrays, and the step of the targets towards the new weights. Gradients
// are float, or bfloat16 where half_grad has a pointer. target, half_weight and half_target may hold null pointers; the
// halves are bfloat16 copies for matrix products.
void adamw(int64_t arrays, const int64_t* sizes, float* const* weight, const float* const* grad,
           const uint16_t* const* half_grad, float* const* first, float* const* second, float* const* target,
           uint16_t* const* half_weight, uint16_t* const* half_target, float scale, float beta1, float beta2,
           float step_size, float root_correction, float eps, float decay, float tau, int threads) {
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

}  // extern "C"
