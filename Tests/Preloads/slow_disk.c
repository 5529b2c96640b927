// A disk that takes its time: loaded before the program (LD_PRELOAD), it makes fsync wait.
//
//   SLOW_DISK_MILLISECONDS   how long each call takes
//   SLOW_DISK_RANK           the one rank that has such a disk; all when it is not set
//   SLOW_DISK_AFTER          calls of a process that are as fast as ever before; 0 when not set
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

static int is_slow(void) {
  static atomic_long calls = 0;
  const char *rank = getenv("OMPI_COMM_WORLD_RANK");
  const char *only = getenv("SLOW_DISK_RANK");
  if (only && (!rank || strcmp(only, rank) != 0)) return 0;
  return atomic_fetch_add(&calls, 1) >= number("SLOW_DISK_AFTER", 0);
}

int fsync(int file) {
  if (is_slow()) {
    long milliseconds = number("SLOW_DISK_MILLISECONDS", 0);
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0) {}
  }
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return next(file);
}
