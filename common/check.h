/* check.h - assertions that stay on: for our own bugs, never for a stranger's bytes. */
#ifndef TRUNKLINE_COMMON_CHECK_H
#define TRUNKLINE_COMMON_CHECK_H

#define CHECK(claim) ((claim) ? (void)0 : check_failed(#claim, __FILE__, __LINE__))

/* Print the claim and where it stands to standard error, then abort. */
_Noreturn void check_failed(const char *claim, const char *file, int line);

#endif
