#ifndef TALLYMAN_CLIBPQ_SHIM_H
#define TALLYMAN_CLIBPQ_SHIM_H
#include <libpq-fe.h>
#endif
