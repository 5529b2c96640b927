#ifndef CBUILTINS_H
#define CBUILTINS_H
// Compiler builtins that Swift cannot call.

/// Eight floats, `SIMD8<Float>` in Swift.
typedef float inverse_float8 __attribute__((ext_vector_type(8)));

/// Asks for the cache line at `address`, up to the second level; any address is allowed.
static inline __attribute__((always_inline)) void inverse_prefetch(const void *address) {
  __builtin_prefetch(address, 0, 2);
}

#ifdef __AVX__
/// The square root of each lane, correctly rounded, in one instruction.
///
/// `squareRoot()` of a Swift vector is one instruction, one comparison and one branch per lane.
static inline __attribute__((always_inline)) inverse_float8 inverse_square_root(
    inverse_float8 value) {
  return (inverse_float8)__builtin_ia32_sqrtps256(value);
}
#define INVERSE_HAS_VECTOR_SQUARE_ROOT 1

typedef int inverse_int8 __attribute__((ext_vector_type(8)));

/// Lane `j` of `kept` where bit `j` of `bits` is set, else of `other`.
///
/// Comparing integers of a Swift vector is one comparison and one branch per lane.
static inline __attribute__((always_inline)) inverse_float8 inverse_select(
    unsigned bits, inverse_float8 kept, inverse_float8 other) {
  const inverse_int8 bit = {1, 2, 4, 8, 16, 32, 64, 128};
  const inverse_int8 lanes = {(int)bits, (int)bits, (int)bits, (int)bits,
                              (int)bits, (int)bits, (int)bits, (int)bits};
  const inverse_int8 mask = (lanes & bit) == bit;
  return (inverse_float8)((mask & (inverse_int8)kept) | (~mask & (inverse_int8)other));
}

typedef unsigned inverse_uint8 __attribute__((ext_vector_type(8)));

/// Bit `j` is set where word `j` of the eight at `words` is at least `bound`.
///
/// Swift has no way from a vector of truths to bits.
static inline __attribute__((always_inline)) unsigned inverse_at_least(
    const unsigned *words, unsigned bound) {
  inverse_uint8 value;
  __builtin_memcpy(&value, words, sizeof(value));
  const inverse_int8 mask = value >= bound;
  return (unsigned)__builtin_ia32_movmskps256((inverse_float8)mask);
}

typedef unsigned long long inverse_ulong4 __attribute__((ext_vector_type(4)));

/// `value`, in one register.
///
/// Two vectors that go through the same steps are otherwise mixed, lane by lane, at the price of a
/// shuffle for each step.
static inline __attribute__((always_inline)) inverse_ulong4 inverse_whole_words(
    inverse_ulong4 value) {
  __asm__("" : "+x"(value));
  return value;
}

/// `value`, in one register.
///
/// A sum of halves makes the compiler compute in halves, and halves of halves, whatever they come
/// from: four times the instructions.
static inline __attribute__((always_inline)) inverse_float8 inverse_whole(inverse_float8 value) {
  __asm__("" : "+x"(value));
  return value;
}
#endif
#endif
