#include "CMappedFiles.h"
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A list that only grows, so that the handler can walk it at any instant. Entries whose mapping is
// gone have no start and are used again.
struct entry {
  _Atomic(uintptr_t) start;
  _Atomic(size_t) length;
  _Atomic(char *) path;
  struct entry *next;
};

static _Atomic(struct entry *) first;
static atomic_long unused;
static const char *before_path, *after_path;
static int exit_code;

// Marks an entry that somebody is filling.
static const uintptr_t being_filled = UINTPTR_MAX;

static struct entry *take_unused(void) {
  if (atomic_load(&unused) == 0) return NULL;
  for (struct entry *entry = atomic_load(&first); entry; entry = entry->next) {
    uintptr_t none = 0;
    if (atomic_compare_exchange_strong(&entry->start, &none, being_filled)) {
      atomic_fetch_sub(&unused, 1);
      return entry;
    }
  }
  return NULL;
}

int inverse_mapping_add(const void *start, size_t length, const char *path) {
  char *copy = strdup(path);
  if (!copy) return -1;
  struct entry *entry = take_unused();
  if (entry) {
    free(atomic_exchange(&entry->path, copy));
    atomic_store(&entry->length, length);
    atomic_store(&entry->start, (uintptr_t)start);
    return 0;
  }
  entry = malloc(sizeof *entry);
  if (!entry) {
    free(copy);
    return -1;
  }
  atomic_init(&entry->start, (uintptr_t)start);
  atomic_init(&entry->length, length);
  atomic_init(&entry->path, copy);
  entry->next = atomic_load(&first);
  while (!atomic_compare_exchange_weak(&first, &entry->next, entry)) continue;
  return 0;
}

void inverse_mapping_remove(const void *start) {
  for (struct entry *entry = atomic_load(&first); entry; entry = entry->next) {
    uintptr_t expected = (uintptr_t)start;
    if (atomic_compare_exchange_strong(&entry->start, &expected, 0)) {
      atomic_fetch_add(&unused, 1);
      return;
    }
  }
}

static void tell(const char *text) {
  size_t length = strlen(text);
  while (length > 0) {
    ssize_t written = write(STDERR_FILENO, text, length);
    if (written <= 0) return;
    text += written;
    length -= (size_t)written;
  }
}

static void handle(int number, siginfo_t *information, void *context) {
  (void)context;
  uintptr_t address = (uintptr_t)information->si_addr;
  for (struct entry *entry = atomic_load(&first); entry; entry = entry->next) {
    uintptr_t start = atomic_load(&entry->start);
    if (start == 0 || start == being_filled) continue;
    if (address < start || address - start >= atomic_load(&entry->length)) continue;
    tell(before_path);
    tell(atomic_load(&entry->path));
    tell(after_path);
    _exit(exit_code);
  }
  // Not ours: the instruction is tried again, and ends the process as it always did.
  signal(number, SIG_DFL);
}

void inverse_mapping_report(const char *before, const char *after, int code) {
  before_path = before;
  after_path = after;
  exit_code = code;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, NULL);
}
