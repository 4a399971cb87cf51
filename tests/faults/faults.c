/* A file system that fails, for one process: preloaded, and told by set_fault() what to do.
 *
 * A step is an fsync or a rename. Faults: 1 counts the steps and the bytes; 2 kills the process before step
 * `value`; 3 fills the disk after `value` bytes; 4 answers every lock with the error `value`;
 * 5 answers the fsync of a folder with the error `value`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NONE, COUNT, KILL, DISK, LOCK, FOLDER };
static int fault = NONE;
static long value;
static atomic_long steps, written, locks; /* several threads write */

void set_fault(int what, long number) {
  fault = what; value = number;
  steps = written = locks = 0;
}
long count_steps(void) { return steps; }
long count_bytes(void) { return written; }
long count_locks(void) { return locks; }

static void step(void) {
  if (atomic_fetch_add(&steps, 1) + 1 == value && fault == KILL) raise(SIGKILL);
}

int fsync(int fd) {
  static int (*real)(int);
  struct stat found;
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  step();
  if (fault == FOLDER && !fstat(fd, &found) && S_ISDIR(found.st_mode)) { errno = value; return -1; }
  return real(fd);
}

int rename(const char *from, const char *to) {
  static int (*real)(const char *, const char *);
  if (!real) real = dlsym(RTLD_NEXT, "rename");
  step();
  return real(from, to);
}

ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*real)(int, const void *, size_t);
  struct stat found;
  if (!real) real = dlsym(RTLD_NEXT, "write");
  if ((fault == DISK || fault == COUNT) && fd > 2 && !fstat(fd, &found) && S_ISREG(found.st_mode)) {
    long before = atomic_fetch_add(&written, size);
    if (fault == DISK && before >= value) { errno = ENOSPC; return -1; }
    if (fault == DISK && size > (size_t)(value - before)) size = value - before;
  }
  return real(fd, data, size);
}

int flock(int fd, int operation) {
  static int (*real)(int, int);
  if (!real) real = dlsym(RTLD_NEXT, "flock");
  locks++;
  if (fault == LOCK) { errno = value; return -1; }
  return real(fd, operation);
}

int fcntl(int fd, int command, ...) {
  static int (*real)(int, int, ...);
  va_list arguments;
  void *argument;
  if (!real) real = dlsym(RTLD_NEXT, "fcntl");
  va_start(arguments, command);
  argument = va_arg(arguments, void *);
  va_end(arguments);
  if (command == F_SETLK || command == F_SETLKW) {
    locks++;
    if (fault == LOCK) { errno = value; return -1; }
  }
  return real(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
  va_list arguments;
  void *argument;
  va_start(arguments, command);
  argument = va_arg(arguments, void *);
  va_end(arguments);
  return fcntl(fd, command, argument);
}
