#pragma once
// What stands in headers of glibc that Swift's own module of it leaves out: mallopt(3), epoll(7).
#include <malloc.h>
#include <sys/epoll.h>

// Behind _GNU_SOURCE, which Swift does not define. The address is untyped, since <sys/socket.h>, included here as well,
// would take its names away from Swift's module.
int accept4(int descriptor, void *address, unsigned int *length, int flags);
