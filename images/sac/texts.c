/* What the profile says: tables made from the profiles' files, see emulator/sac/build.py. */
#include "sac.h"
#include "texts.inc"

const char *text(enum text_key key)
{
    return text_pool + text_index[knobs.profile][key];
}

const char *fact(enum fact_key key)
{
    return text_pool + fact_index[knobs.profile][key];
}

int is_fact(enum fact_key key)
{
    return fact(key)[0] == '1';
}
