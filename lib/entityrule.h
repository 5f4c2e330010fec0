/*
 * entityrule: what a CHECK of the database means, in words.
 *
 * Layer domain.  Most values are checked before the database sees them; what
 * only it can judge is refused with the name of a constraint, which ends the
 * message of db.h: "... [23514, extensions_user_check]".
 */
#ifndef ENTITYRULE_H
#define ENTITYRULE_H

/* In words, perhaps with a line "hint: ...", or NULL. */
const char *entity_rule_of(const char *constraint);
/* The rule that a message of the database is about, or NULL. */
const char *entity_rule(const char *msg);

#endif
