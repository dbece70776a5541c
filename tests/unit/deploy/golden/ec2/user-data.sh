#!/bin/bash
JOB=kennel-local-train-90ac986d79
REGION=us-east-1
IMAGE=123456789012.dkr.ecr.us-east-1.amazonaws.com/kennel-local/train@sha256:0000000000000000000000000000000000000000000000000000000000000000
REGISTRY=123456789012.dkr.ecr.us-east-1.amazonaws.com
OUTPUT=s3://kennel-local-123456789012-us-east-1/jobs/kennel-local-train-90ac986d79
CHECKPOINTS=s3://kennel-local-123456789012-us-east-1/checkpoints/kennel-local-train-90ac986d79
GROUP=/kennel/kennel-local/ec2
CREATED=2026-11-21T12:00:00+00:00
LAUNCH=1
MAX_RUN_S=3600
LIMIT_MINUTES=90
HYPERPARAMETERS='{"batch_size": "64", "crop": "160", "epochs": "15", "freeze_backbone": "true", "model": "resnet50", "resize": "184", "weights": "imagenet"}'
CHANNEL_CONFIG='{"training": {"S3DistributionType": "FullyReplicated", "TrainingInputMode": "File"}, "weights": {"S3DistributionType": "FullyReplicated", "TrainingInputMode": "File"}}'
RESOURCES='{"current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": "ml.m5.xlarge"}'
CHANNELS=(training=s3://kennel-local-123456789012-us-east-1/data/x/ weights=s3://kennel-local-123456789012-us-east-1/weights/)
ENCRYPTION=()
ENVIRONMENT=(-e TRAINING_JOB_NAME=kennel-local-train-90ac986d79)
# shellcheck shell=bash
# An EC2 instance's program: fetch, train, save checkpoints, upload, and always terminate itself at the end. The lines
# above set the job's values. It needs bash, python3, aws and docker, which every deep-learning AMI has.
set -u -o pipefail
shutdown -P "+$LIMIT_MINUTES" # first of all, so that the time limit holds even if this script hangs

export HOME=/root AWS_DEFAULT_REGION="$REGION" JOB OUTPUT CREATED LAUNCH # cloud-init sets no HOME
ROOT=${KENNEL_ROOT:-/srv/kennel}
CONTAINER='' BEGAN='' ENDED=''

# Prints one value of the instance's metadata (IMDSv2); fails when it does not exist.
metadata() {
  python3 - "$1" <<'PY'
import sys, urllib.request
base = "http://169.254.169.254/latest/"
try:
    request = urllib.request.Request(base + "api/token", method="PUT")
    request.add_header("X-aws-ec2-metadata-token-ttl-seconds", "60")
    token = urllib.request.urlopen(request, timeout=2).read().decode()
    request = urllib.request.Request(base + sys.argv[1], headers={"X-aws-ec2-metadata-token": token})
    print(urllib.request.urlopen(request, timeout=2).read().decode())
except OSError:
    sys.exit(1)
PY
}

# Writes and uploads the job's record, in the shape of DescribeTrainingJob: STATUS SECONDARY [REASON].
report() {
  INSTANCE=$INSTANCE BEGAN=$BEGAN python3 - "$@" >"$ROOT/job.json" <<'PY'
import datetime, json, os, sys
now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
status, secondary, reason = [*sys.argv[1:], ""][:3]
record = {
    "TrainingJobName": os.environ["JOB"], "TrainingJobStatus": status, "SecondaryStatus": secondary,
    "CreationTime": os.environ["CREATED"], "InstanceId": os.environ["INSTANCE"], "Launch": int(os.environ["LAUNCH"]),
    "ModelArtifacts": {"S3ModelArtifacts": os.environ["OUTPUT"] + "/output/model.tar.gz"},
}
if reason:
    record["FailureReason"] = reason
if os.environ["BEGAN"]:
    record["TrainingStartTime"] = os.environ["BEGAN"]
if status != "InProgress":
    record["TrainingEndTime"] = now
json.dump(record, sys.stdout, indent=2)
PY
  [ "$1" = InProgress ] || ENDED=1
  echo "kennel: $*"
  aws s3 cp --only-show-errors "$ROOT/job.json" "$OUTPUT/job.json"
}

fail() {
  report Failed Failed "$1"
  exit 1
}

finish() {
  local code=$?
  trap - EXIT
  [ -n "$ENDED" ] || report Failed Failed "InternalError: the instance's script ended with code $code; see its console output"
  shutdown -P now
}

# Sends changes only, and deletes what training deleted, as SageMaker does.
save_checkpoints() {
  aws s3 sync --only-show-errors "${ENCRYPTION[@]}" --delete "$ROOT/checkpoints" "$CHECKPOINTS"
}

upload() { # FOLDER NAME: packs a folder as SageMaker does
  [ -n "$(ls -A "$ROOT/$1")" ] || return 0
  tar -C "$ROOT/$1" -czf "$ROOT/$2" . && aws s3 cp --only-show-errors "${ENCRYPTION[@]}" "$ROOT/$2" "$OUTPUT/output/$2"
}

fetch() {
  local channel
  report InProgress Downloading
  for channel in "${CHANNELS[@]}"; do
    aws s3 sync --only-show-errors "${channel#*=}" "$ROOT/input/data/${channel%%=*}" ||
      fail "ClientError: Data download failed: ${channel#*=}"
  done
  aws s3 sync --only-show-errors "$CHECKPOINTS" "$ROOT/checkpoints" || fail "ClientError: Data download failed: $CHECKPOINTS"
  [ -n "$REGISTRY" ] || return 0
  { aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY" &&
    docker pull --quiet "$IMAGE"; } || fail "ClientError: Cannot pull $IMAGE"
}

# User data may run before the Docker engine has started.
wait_for_docker() {
  local try
  for try in {1..60}; do
    docker info >/dev/null 2>&1 && return
    echo "kennel: no Docker engine answers yet ($try)"
    sleep 2
  done
  fail "InternalError: no Docker engine answers on this instance: choose another training.ec2.ami_parameter"
}

train() {
  local gpus=()
  nvidia-smi -L >/dev/null 2>&1 && gpus=(--gpus all)
  BEGAN=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)
  report InProgress Training
  CONTAINER=$(docker run -d "${gpus[@]}" --ipc=host --stop-timeout 75 --log-driver awslogs \
    --log-opt "awslogs-region=$REGION" --log-opt "awslogs-group=$GROUP" --log-opt awslogs-create-group=true \
    --log-opt "awslogs-stream=$JOB/algo-1-$(date +%s)000" "${ENVIRONMENT[@]}" -v "$ROOT:/opt/ml" "$IMAGE" train \
    2>"$ROOT/error") || fail "CannotStartContainerError: $(cat "$ROOT/error")"
}

# Until the container ends: checks for a spot interruption every 5 s, saves checkpoints every minute.
watch() {
  local saved=0
  SECONDS=0 STOPPED=''
  while [ "$(docker inspect -f '{{.State.Running}}' "$CONTAINER")" = true ]; do
    sleep 5
    if metadata meta-data/spot/instance-action >/dev/null; then
      STOPPED=Interrupted
      docker stop -t 75 "$CONTAINER" >/dev/null # AWS gives 120 s; the rest is for the upload
    elif [ "$SECONDS" -gt "$MAX_RUN_S" ]; then
      STOPPED=MaxRuntimeExceeded
      docker stop -t 120 "$CONTAINER" >/dev/null
    elif [ $((SECONDS - saved)) -ge 60 ]; then
      save_checkpoints
      saved=$SECONDS
    fi
  done
}

conclude() {
  local code reason
  code=$(docker inspect -f '{{.State.ExitCode}}' "$CONTAINER")
  save_checkpoints || fail "ClientError: checkpoint upload failed: $CHECKPOINTS"
  if [ "$STOPPED" = Interrupted ] && [ "$code" != 0 ]; then
    report Stopped Interrupted "SpotInstanceTermination: AWS took the instance back"
    return
  fi
  report InProgress Uploading
  { upload output/data output.tar.gz && upload model model.tar.gz; } ||
    fail "ClientError: artifact upload failed: $OUTPUT"
  if [ -n "$STOPPED" ] && [ "$code" != 0 ]; then
    report Stopped "$STOPPED" "$STOPPED: it ran for $SECONDS s"
  elif [ "$code" = 0 ]; then
    report Completed Completed
  else
    reason=$(head -c 1024 "$ROOT/output/failure" 2>/dev/null)
    report Failed Failed "AlgorithmError: $reason, exit code: $code"
  fi
}

trap finish EXIT
mkdir -p "$ROOT"/{input/config,input/data,model,output/data,checkpoints}
INSTANCE=$(metadata meta-data/instance-id)
printf '%s' "$HYPERPARAMETERS" >"$ROOT/input/config/hyperparameters.json"
printf '%s' "$CHANNEL_CONFIG" >"$ROOT/input/config/inputdataconfig.json"
printf '%s' "$RESOURCES" >"$ROOT/input/config/resourceconfig.json"
wait_for_docker
fetch
train
watch
conclude
