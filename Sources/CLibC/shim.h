#pragma once
// mallopt(3) stands in a header of glibc that Swift's own module of it leaves out.
#include <malloc.h>
