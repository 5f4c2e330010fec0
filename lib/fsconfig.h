/*
 * fsconfig: the answers of section "configuration".
 *
 * Layer domain.  Only files that are made of the database's rows; FreeSWITCH
 * takes every other one from its own disk.  What a tenant writes goes into the
 * argument of an application only where its every character is known to mean
 * nothing there: names are percent-encoded (lookup_put_name()), numbers and
 * sounds that are not made of a fixed alphabet are left out and logged.
 */
#ifndef FSCONFIG_H
#define FSCONFIG_H

#include "answer.h"

/* mod_xml_curl drops an answer of more than 1 MiB (response-max-bytes). */
#define FSCONFIG_MAX 1000000

extern const struct answer fsconfig_callcenter;
extern const struct answer fsconfig_ivr;
extern const struct answer fsconfig_conference;
extern const struct answer fsconfig_acl;

#endif
