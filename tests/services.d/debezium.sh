# Databases and topics of the tests' services, and Debezium's connectors between them. Sourced by the scripts that need
# it, after they have set `root` (of the checkout) and `partitions` (of each topic that is made).
# shellcheck shell=bash

say() { echo "${0##*/}: $*" >&2; }
# Not 1, which is the answer "not equal".
die() { say "$*"; exit 2; }

# ---- The services ------------------------------------------------------------------------------

find_services() {
  if [ -z "${TRUEUP_TEST_POSTGRES:-}" ]; then eval "$("$root/tests/services" env)"; fi
  : "${TRUEUP_TEST_POSTGRES:?is not set: start PostgreSQL with tests/services up}"
  # Their psql and pgbench fit the server.
  if [ -n "${TRUEUP_TEST_PGBIN:-}" ]; then PATH=$TRUEUP_TEST_PGBIN:$PATH; fi
  server=${TRUEUP_TEST_POSTGRES%/*}
  [[ $server =~ ^postgres(ql)?://([^:]+):([^@]+)@([^:]+):([0-9]+)$ ]] ||
    die "TRUEUP_TEST_POSTGRES must look like postgres://user:password@host:port/database"
  user=${BASH_REMATCH[2]} password=${BASH_REMATCH[3]} host=${BASH_REMATCH[4]} port=${BASH_REMATCH[5]}
}

find_log() {
  : "${TRUEUP_TEST_KAFKA:?is not set: start Kafka with tests/services up}"
  : "${TRUEUP_TEST_CONNECT:?is not set: start Connect with tests/services up}"
}

# sql DATABASE ARGS...: psql that stops at the first error, bare values out.
sql() {
  local database=$1
  shift
  # "does not exist, skipping" is no news.
  PGOPTIONS='-c client_min_messages=warning' psql -X -q -At -v ON_ERROR_STOP=1 "$server/$database" "$@"
}

has_database() { [ "$(sql postgres -c "SELECT 1 FROM pg_database WHERE datname = '$1'")" = 1 ]; }

# until_true SECONDS CMD...: fails when CMD does not succeed in time.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ $SECONDS -ge $end ]; then return 1; fi
    sleep 0.2
  done
}

# ---- Connectors --------------------------------------------------------------------------------

# api METHOD PATH [BODY]: asks Connect.
api() {
  curl -fsS --noproxy '*' --max-time 60 -X "$1" -H 'Content-Type: application/json' ${3:+--data "$3"} \
    "$TRUEUP_TEST_CONNECT$2"
}

has_connector() { api GET "/connectors/$1/status" >/dev/null 2>&1; }
is_stopped() { api GET "/connectors/$1/status" | grep -q '"connector":{"state":"STOPPED"'; }
# are_all NAME STATE: the connector and its one task.
are_all() { [ "$(api GET "/connectors/$1/status" | grep -o "\"state\":\"$2\"" | wc -l)" = 2 ]; }
has_failed() { api GET "/connectors/$1/status" | grep -q '"state":"FAILED"'; }
forget_offsets() { api DELETE "/connectors/$1/offsets" >/dev/null 2>&1; }

# converter key|value FORM: how records are written: false (bare JSON), true (JSON with its schema), or avro, framed as
# Confluent's serializers do it with the id of a schema in the registry.
converter() {
  case $2 in
    avro)
      : "${TRUEUP_TEST_REGISTRY:?is not set: start the registry with tests/services up}"
      local setting="$1.converter.apicurio.registry"
      cat <<JSON
  "$1.converter": "io.apicurio.registry.utils.converter.AvroConverter",
  "$setting.url": "$TRUEUP_TEST_REGISTRY/apis/registry/v2",
  "$setting.auto-register": "true", "$setting.find-latest": "true",
  "$setting.as-confluent": "true", "$setting.use-id": "contentId", "$setting.headers.enabled": "false",
JSON
      ;;
    *)
      echo "  \"$1.converter\": \"org.apache.kafka.connect.json.JsonConverter\", \"$1.converter.schemas.enable\": \"$2\","
      ;;
  esac
}

# names FORM: Avro allows only letters, digits and _ in a name.
names() {
  if [ "$1" = avro ]; then
    echo '  "schema.name.adjustment.mode": "avro", "field.name.adjustment.mode": "avro",'
  fi
}

# connector_config NAME DATABASE TABLES [FORM [PROPERTY=VALUE...]]
# The settings beyond the required ones are what makes Debezium fast; its defaults take four times as long. Rows of a table called
# outbox are events: they go to NAME.events.<aggregatetype>, with their type in a header.
connector_config() {
  local name=$1 database=$2 tables=$3 form=${4:-false} property more=
  # Of a key that is there twice the last one counts.
  for property in "${@:5}"; do more+=", \"${property%%=*}\": \"${property#*=}\""; done
  cat <<JSON
{ "name": "$name", "initial_state": "STOPPED", "config": {
  "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
  "plugin.name": "pgoutput",
  "database.hostname": "$host", "database.port": "$port",
  "database.user": "$user", "database.password": "$password", "database.dbname": "$database",
  "topic.prefix": "$name", "slot.name": "$name", "publication.name": "$name",
  "publication.autocreate.mode": "filtered", "table.include.list": "$tables",
  "snapshot.mode": "initial",
$(converter key "$form")
$(converter value "$form")
$(names "$form")
  "topic.creation.default.partitions": "$partitions", "topic.creation.default.replication.factor": "1",
  "topic.creation.default.cleanup.policy": "delete", "topic.creation.default.retention.ms": "-1",
  "max.batch.size": "8192", "max.queue.size": "32768", "snapshot.fetch.size": "10240",
  "producer.override.batch.size": "262144",
  "transforms": "outbox", "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
  "transforms.outbox.table.fields.additional.placement": "type:header:eventType",
  "transforms.outbox.route.topic.replacement": "$name.events.\${routedByValue}",
  "transforms.outbox.predicate": "isOutbox", "predicates": "isOutbox",
  "predicates.isOutbox.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
  "predicates.isOutbox.pattern": ".*\\\\.outbox"$more
} }
JSON
}

# add_connector NAME DATABASE TABLES [FORM [PROPERTY=VALUE...]]: TABLES is a list of regular expressions, FORM as in `converter`.
add_connector() {
  api POST /connectors "$(connector_config "$@")" >/dev/null
  # Connect remembers how far a deleted connector of this name came, and would skip the snapshot.
  until_true 30 forget_offsets "$1" || die "cannot clear the offsets of connector $1"
  api PUT "/connectors/$1/resume" >/dev/null
}

# The task of a paused connector lives on: it holds its slot, and what it had read already comes at once afterwards.
pause_connector() {
  api PUT "/connectors/$1/pause" >/dev/null
  until_true 60 are_all "$1" PAUSED || die "connector $1 does not pause"
}

resume_connector() {
  api PUT "/connectors/$1/resume" >/dev/null
  until_true 60 are_all "$1" RUNNING || die "connector $1 does not run again"
}

# Its slot goes too: a slot that nobody reads makes the server keep its WAL for ever.
drop_connector() {
  local name=$1
  if has_connector "$name"; then
    api PUT "/connectors/$name/stop" >/dev/null
    until_true 60 is_stopped "$name" || die "connector $name does not stop"
    until_true 30 forget_offsets "$name" || die "cannot clear the offsets of connector $name"
    api DELETE "/connectors/$name" >/dev/null
  fi
  until_true 30 drop_slot "$name" || die "replication slot $name is still in use"
}

# A slot is in use for a moment after its connector has gone.
drop_slot() {
  sql postgres -c "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '$1'" \
    >/dev/null 2>&1
}

# ---- Topics ------------------------------------------------------------------------------------

# topics: the names of all, for a question about one by name could create it.
topics() { kcat -L -b "$TRUEUP_TEST_KAFKA" | sed -n 's/^ *topic "\(.*\)" with.*/\1/p'; }

has_topic() { topics | grep -xF "$1" >/dev/null; }

# has_topics EXPRESSION: whether there is a topic whose whole name it fits.
has_topics() { topics | grep -xE "$1" >/dev/null; }

gone_topics() { ! has_topics "$1"; }

# drop_topics EXPRESSION: all topics whose whole name it fits.
drop_topics() {
  has_topics "$1" || return 0
  "$root/tests/services" kafka-tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$TRUEUP_TEST_KAFKA" \
    --delete --topic "$1" >&2
  until_true 30 gone_topics "$1" || die "topics $1 do not go away"
}

# How many records a topic holds: the sum of its end offsets, for none was ever removed.
records() {
  local partition ends=()
  if ! has_topic "$1"; then
    echo 0
    return
  fi
  for ((partition = 0; partition < partitions; partition++)); do ends+=(-t "$1:$partition:-1"); done
  kcat -Q -b "$TRUEUP_TEST_KAFKA" "${ends[@]}" | awk '{ n += $NF } END { print n + 0 }'
}
