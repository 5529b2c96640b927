#include "CBuiltins.h"
