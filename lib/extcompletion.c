/*
 * "completion bash": the tables as shell, and the functions that read them.
 * What comes from the database is never expanded by the shell: compgen -W
 * would run a queue that is named $(...).
 */
#include <string.h>

#include "doctor.h"
#include "extcommand.h"

/* clang-format off */
static const char functions[] =
"# The words so far, whole: bash cuts them at = and @.\n"
"_voip_words() {\n"
"	local line=${COMP_LINE:0:COMP_POINT}\n"
"\n"
"	if [[ -n ${COMP_LINE-} ]]; then\n"
"		read -ra words <<<\"$line\"\n"
"		[[ $line != *[[:space:]] ]] || words+=('')\n"
"	else\n"
"		words=(\"${COMP_WORDS[@]:0:COMP_CWORD+1}\")\n"
"	fi\n"
"	cur=${words[-1]}\n"
"}\n"
"\n"
"# What of $cur is on the line to stay: bash replaces what follows the last of\n"
"# its word breaks, and an @ too.\n"
"_voip_kept() {\n"
"	local -i i\n"
"\n"
"	kept=''\n"
"	for ((i = ${#cur}; i > 0; i--)); do\n"
"		[[ ${cur:i-1:1} == [=@:] && $COMP_WORDBREAKS == *\"${cur:i-1:1}\"* ]] || continue\n"
"		kept=${cur:0:i}\n"
"		kept=${kept%@}\n"
"		return\n"
"	done\n"
"}\n"
"\n"
"# PREFIX SUFFIX: take what of the lines of standard input fits.\n"
"_voip_offer() {\n"
"	local word kept=''\n"
"\n"
"	[[ -z ${COMP_LINE-} ]] || _voip_kept\n"
"	while IFS= read -r word; do\n"
"		word=$1$word\n"
"		[[ -n ${word#\"$1\"} && $word == \"$cur\"* ]] || continue\n"
"		word=${word#\"$kept\"}\n"
"		[[ $word != *[!A-Za-z0-9_.,@:=/+-]* ]] || printf -v word %q \"$word\"\n"
"		COMPREPLY+=(\"$word${2-}\")\n"
"	done\n"
"}\n"
"\n"
"# Each word on a line.\n"
"_voip_lines() {\n"
"	local -a list\n"
"\n"
"	read -ra list <<<\"$*\"\n"
"	printf '%s\\n' \"${list[@]}\"\n"
"}\n"
"\n"
"_voip_options() {\n"
"	\"$1\" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u\n"
"}\n"
"\n"
"# Seconds that a Tab may take, when the database is slow or away.\n"
": \"${_voip_wait:=1}\"\n"
"\n"
"# ARGUMENT...: what it prints, without the line of names.\n"
"_voip_ext_ask() {\n"
"	timeout \"$_voip_wait\" voip-ext \"$@\" --format tsv \\\n"
"		--set \"database_connect_timeout=${_voip_wait}s\" 2>/dev/null </dev/null |\n"
"		tail -n +2\n"
"}\n"
"\n"
"# ENTITY COLUMN PREFIX: from the database, few and soon.\n"
"_voip_ext_rows() {\n"
"	_voip_ext_ask \"$1\" list ${3:+--where} ${3:+\"key^=$3\"} --fields \"$2\" --limit 100\n"
"}\n"
"\n"
"# ENTITY FIELD= VALUE\n"
"_voip_ext_value() {\n"
"	local target\n"
"\n"
"	target=$(_voip_ext_reference \"$1\" \"${2%=}\")\n"
"	if [[ -n $target ]]; then\n"
"		_voip_offer \"$2\" < <(_voip_ext_rows \"$target\" \\\n"
"			\"$(_voip_ext_name \"$target\")\" \"$3\")\n"
"	else\n"
"		_voip_offer \"$2\" < <(_voip_lines \\\n"
"			\"$(_voip_ext_choices \"$1\" \"${2%=}\")\")\n"
"	fi\n"
"}\n"
"\n"
"# ENTITY VERB: a field, or its value; of what is written, each field once.\n"
"_voip_ext_assignment() {\n"
"	local fields word\n"
"	local -a unwritten\n"
"\n"
"	if [[ $cur == *=* ]]; then\n"
"		_voip_ext_value \"$1\" \"${cur%%=*}=\" \"${cur#*=}\"\n"
"		return\n"
"	fi\n"
"	fields=\" $(_voip_ext_fields \"$1\")\"\n"
"	if [[ $2 != list ]]; then\n"
"		read -ra unwritten <<<\"$(_voip_ext_unwritten \"$1\")\"\n"
"		# The first is in the key; set gives a new one.\n"
"		[[ $2 != set ]] || unwritten=(\"${unwritten[@]:1}\")\n"
"		for word in \"${unwritten[@]}\"; do\n"
"			fields=${fields/ $word / }\n"
"		done\n"
"		for word in \"${words[@]}\"; do\n"
"			[[ $word != *=* ]] || fields=${fields/ \"${word%%=*}\" / }\n"
"		done\n"
"	fi\n"
"	_voip_offer '' = < <(_voip_lines \"$fields\")\n"
"	[[ $2 != add ]] || _voip_offer '' = <<<template\n"
"	compopt -o nospace 2>/dev/null\n"
"}\n"
"\n"
"# The numbers of the last change sets.\n"
"_voip_ext_changes() {\n"
"	_voip_ext_ask log --limit 20 | cut -f1\n"
"}\n"
"\n"
"# OPTION ENTITY LEAD: the argument of an option, which stands after LEAD;\n"
"# false when it takes none.\n"
"_voip_ext_argument() {\n"
"	local lead=$3\n"
"\n"
"	case $1 in\n"
"	-f | --format)\n"
"		_voip_offer \"$lead\" < <(_voip_lines table tsv csv json jsonl)\n"
"		;;\n"
"	-d | --domain)\n"
"		_voip_offer \"$lead\" < <(_voip_ext_rows domain key \"${cur#\"$lead\"}\")\n"
"		;;\n"
"	--fields | --sort)\n"
"		[[ $cur != *,* ]] || lead=${cur%,*},\n"
"		_voip_offer \"$lead\" < <(_voip_lines key \\\n"
"			\"$(_voip_ext_fields \"$2\")\")\n"
"		compopt -o nospace 2>/dev/null\n"
"		;;\n"
"	--where) [[ -n $lead ]] || _voip_ext_assignment \"$2\" list ;;\n"
"	--config | --rejects | --secrets-to) compopt -o default 2>/dev/null ;;\n"
"	--set | --limit | --since | --until | --who) ;;\n"
"	*) return 1 ;;\n"
"	esac\n"
"	return 0\n"
"}\n"
"\n"
"_voip_ext() {\n"
"	local cur entity=extension verb='' key='' word before='' place=0\n"
"	local -a words\n"
"\n"
"	COMPREPLY=()\n"
"	_voip_words\n"
"	for word in \"${words[@]:1:${#words[@]}-2}\"; do\n"
"		case $before in\n"
"		-f | -d | --format | --domain | --fields | --sort | --where | \\\n"
"		--config | --rejects | --secrets-to | --set | --limit | \\\n"
"		--since | --until | --who)\n"
"			before='' && continue ;;\n"
"		esac\n"
"		before=$word\n"
"		[[ $word != -* ]] || continue\n"
"		if [[ $place = 0 && \" $_voip_ext_entities \" == *\" $word \"* ]]; then\n"
"			entity=$word place=1\n"
"		elif [[ -z $verb ]]; then\n"
"			verb=$word\n"
"			# The entity may come after it.\n"
"			[[ $verb != apply ]] || place=1\n"
"		else\n"
"			place=1\n"
"			key=$word\n"
"		fi\n"
"	done\n"
"	_voip_ext_argument \"$before\" \"$entity\" '' && return\n"
"	if [[ $cur == --*=* ]]; then\n"
"		_voip_ext_argument \"${cur%%=*}\" \"$entity\" \"${cur%%=*}=\"\n"
"	elif [[ $cur == -* ]]; then\n"
"		_voip_offer '' < <(_voip_options voip-ext)\n"
"	elif [[ -z $verb ]]; then\n"
"		_voip_offer '' < <(_voip_lines \"$_voip_ext_verbs\")\n"
"		[[ $place = 1 ]] || _voip_offer '' < <(_voip_lines \\\n"
"			\"$_voip_ext_entities\")\n"
"	elif [[ $verb = apply ]]; then\n"
"		compopt -o default 2>/dev/null\n"
"	elif [[ $verb = doctor ]]; then\n"
"		_voip_offer '' < <(_voip_lines \"$_voip_ext_checks\")\n"
"	elif [[ -n $key && \" list $_voip_ext_fielded\" != *\" $verb \"* ]]; then\n"
"		return 0\n"
"	elif [[ $verb = completion ]]; then\n"
"		_voip_offer '' <<<bash\n"
"	elif [[ $verb = undo ]]; then\n"
"		_voip_offer '' < <(_voip_ext_changes)\n"
"	elif [[ $verb = log ]]; then\n"
"		_voip_offer '' < <(_voip_ext_changes; _voip_ext_rows \"$entity\" key \"$cur\")\n"
"	elif [[ $verb = fields ]]; then\n"
"		[[ $place = 1 ]] || _voip_offer '' < <(_voip_lines \\\n"
"			\"$_voip_ext_entities\")\n"
"	elif [[ -z $key && \" $_voip_ext_keyed \" == *\" $verb \"* ]]; then\n"
"		_voip_offer '' < <(_voip_ext_rows \"$entity\" key \"$cur\")\n"
"	elif [[ \" list $_voip_ext_fielded \" == *\" $verb \"* ]]; then\n"
"		_voip_ext_assignment \"$entity\" \"$verb\"\n"
"	fi\n"
"	return 0\n"
"}\n"
"\n"
"# Any other program: its options and commands, as --help lists them.\n"
"_voip_program() {\n"
"	local cur\n"
"	local -a words\n"
"\n"
"	COMPREPLY=()\n"
"	_voip_words\n"
"	if [[ $cur == -* ]]; then\n"
"		_voip_offer '' < <(_voip_options \"$1\")\n"
"	elif ((${#words[@]} == 2)); then\n"
"		_voip_offer '' < <(\"$1\" --help 2>/dev/null |\n"
"			sed -n '/^Commands:/,$s/^  \\([a-z-]*\\) .*/\\1/p')\n"
"	fi\n"
"	return 0\n"
"}\n"
"\n"
"# OPTION...: with an argument.  What is no option goes to operands; before is\n"
"# the option whose argument is due.\n"
"_voip_operands() {\n"
"	local word\n"
"\n"
"	before='' operands=()\n"
"	for word in \"${words[@]:1:${#words[@]}-2}\"; do\n"
"		if [[ -n $before ]]; then\n"
"			before=''\n"
"		elif [[ \" $* \" == *\" $word \"* ]]; then\n"
"			before=$word\n"
"		elif [[ $word != -* ]]; then\n"
"			operands+=(\"$word\")\n"
"		fi\n"
"	done\n"
"}\n"
"\n"
"# ENTITY...\n"
"_voip_watch() {\n"
"	local cur before\n"
"	local -a words operands\n"
"\n"
"	COMPREPLY=()\n"
"	_voip_words\n"
"	_voip_operands -n --count -d --domain -f --format -t --timeout --config --set\n"
"	case $before in\n"
"	-f | --format) _voip_offer '' < <(_voip_lines jsonl tsv) ;;\n"
"	?*) _voip_ext_argument \"$before\" '' '' ;;\n"
"	*)\n"
"		if [[ $cur == -* ]]; then\n"
"			_voip_offer '' < <(_voip_options \"$1\")\n"
"		else\n"
"			_voip_offer '' < <(_voip_lines \"$_voip_ext_entities\")\n"
"		fi\n"
"		;;\n"
"	esac\n"
"	return 0\n"
"}\n"
"\n"
"# resync, or ENTITY KEY...\n"
"_voip_reload() {\n"
"	local cur before\n"
"	local -a words operands\n"
"\n"
"	COMPREPLY=()\n"
"	_voip_words\n"
"	_voip_operands -w --wait -f --format --config --set\n"
"	if [[ -n $before ]]; then\n"
"		_voip_ext_argument \"$before\" '' ''\n"
"	elif [[ $cur == -* ]]; then\n"
"		_voip_offer '' < <(_voip_options \"$1\")\n"
"	elif [[ -z ${operands[0]-} ]]; then\n"
"		_voip_offer '' < <(_voip_lines \"$_voip_ext_entities resync\")\n"
"	elif [[ ${operands[0]} != resync ]]; then\n"
"		_voip_offer '' < <(_voip_ext_rows \"${operands[0]}\" key \"$cur\")\n"
"	fi\n"
"	return 0\n"
"}\n"
"\n"
"complete -F _voip_ext voip-ext\n"
"complete -F _voip_reload voip-reload\n"
"complete -F _voip_watch voip-watch\n"
"complete -o default -F _voip_program voip-cdr voip-cdr-flush voip-cdr-ingest \\\n"
"	voip-config voip-dirxml voip-failover voip-health voip-healthd voip-prune \\\n"
"	voip-schema\n";
/* clang-format on */

/* --- the tables ------------------------------------------------------- */

static void
add_verbs(struct buf *b, const char *variable, const struct ext_verb *v,
	  unsigned flags)
{
	buf_printf(b, "%s='", variable);
	for (; v->name; v++)
		if (!flags || v->flags & flags)
			buf_printf(b, "%s ", v->name);
	buf_puts(b, "'\n");
}

static void
add_fields(struct buf *b, const struct entity *t)
{
	buf_printf(b, "\t%s) echo '", t->name);
	for (const struct entity_field *f = t->fields; f->name; f++)
		buf_printf(b, "%s ", f->name);
	/* An extension's command takes the fields of its user. */
	if (strcmp(t->name, "extension") == 0)
		for (const struct entity_field *f = entity_find("user")->fields;
		     f->name; f++)
			if (!entity_field_find(t, f->name))
				buf_printf(b, "%s ", f->name);
	buf_puts(b, "' ;;\n");
}

/* What cannot be written, and the key, which stands before the fields. */
static void
add_unwritten(struct buf *b, const struct entity *t)
{
	buf_printf(b, "\t%s) echo '%s", t->name, t->fields->name);
	for (const struct entity_field *f = t->fields + 1; f->name; f++)
		if (f->flags & ENTITY_READONLY)
			buf_printf(b, " %s", f->name);
	buf_puts(b, "' ;;\n");
}

static void
add_choices(struct buf *b, const struct entity *t)
{
	for (const struct entity_field *f = t->fields; f->name; f++) {
		const char *words =
			f->type == ENTITY_CHOICE ? f->words
			: f->type == ENTITY_BOOL ? "true false"
			: f->type == ENTITY_PASSWORD || f->type == ENTITY_SEALED
				? "random -"
				: NULL;

		if (words)
			buf_printf(b, "\t%s.%s) echo '%s' ;;\n", t->name,
				   f->name, words);
	}
}

static void
add_references(struct buf *b, const struct entity *t)
{
	for (const struct entity_field *f = t->fields; f->name; f++)
		if (f->type == ENTITY_REFERENCE)
			buf_printf(b, "\t%s.%s) echo '%s' ;;\n", t->name,
				   f->name, f->words);
}

/* A reference is written as the bare name. */
static void
add_name(struct buf *b, const struct entity *t)
{
	buf_printf(b, "\t%s) echo '%s' ;;\n", t->name,
		   strcmp(t->fields->name, t->name) == 0 ? "key"
							 : t->fields->name);
}

static void
add_function(struct buf *b, const char *name, const char *subject,
	     void (*add)(struct buf *b, const struct entity *t))
{
	buf_printf(b, "%s() {\n\tcase %s in\n", name, subject);
	for (const struct entity *t = entities; t->name; t++)
		add(b, t);
	buf_puts(b, "\tesac\n}\n\n");
}

int
ext_completion(struct db *db, struct ext_command *c, struct verr *e)
{
	const struct ext_verb *verbs = ext_verbs();
	struct buf b = BUF_INIT;
	int rc;

	(void)db;
	if (c->argc != 1 || strcmp(c->argv[0], "bash") != 0)
		return verr_set(e, VERR_USAGE,
				"which shell?\nhint: voip-ext completion bash");
	buf_puts(&b, "# bash completion of voip-ext and its companions.\n"
		     "# shellcheck shell=bash\n\n_voip_ext_entities='");
	for (const struct entity *t = entities; t->name; t++)
		buf_printf(&b, "%s ", t->name);
	buf_puts(&b, "'\n");
	add_verbs(&b, "_voip_ext_verbs", verbs, 0);
	add_verbs(&b, "_voip_ext_keyed", verbs, EXT_KEY);
	add_verbs(&b, "_voip_ext_fielded", verbs, EXT_FIELDS);
	buf_puts(&b, "_voip_ext_checks='");
	for (const struct doctor_check *k = doctor_checks; k->name; k++)
		buf_printf(&b, "%s ", k->name);
	buf_puts(&b, "'\n\n");
	add_function(&b, "_voip_ext_fields", "$1", add_fields);
	add_function(&b, "_voip_ext_unwritten", "$1", add_unwritten);
	add_function(&b, "_voip_ext_choices", "$1.$2", add_choices);
	add_function(&b, "_voip_ext_reference", "$1.$2", add_references);
	add_function(&b, "_voip_ext_name", "$1", add_name);
	buf_puts(&b, functions);
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : out_verbatim(b.data, b.len, e);
	buf_release(&b);
	return rc;
}
