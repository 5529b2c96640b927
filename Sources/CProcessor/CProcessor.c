#include "CProcessor.h"
#include <string.h>

const char *inverse_missing_processor_features(void) {
#if defined(__x86_64__)
  static char missing[64];
  missing[0] = 0;
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2")) strcat(missing, " AVX2");
  if (!__builtin_cpu_supports("fma")) strcat(missing, " FMA");
  if (!__builtin_cpu_supports("bmi")) strcat(missing, " BMI1");
  if (!__builtin_cpu_supports("bmi2")) strcat(missing, " BMI2");
  return missing[0] ? missing + 1 : missing;
#else
  return "";
#endif
}
