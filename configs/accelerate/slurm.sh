#!/bin/bash
# A run on two nodes of eight GPUs that survives its time limit and preemption:
#   sbatch configs/accelerate/slurm.sh data.path=my_corpus.jsonl     (CONFIG and RUN_DIR set the configuration and folder)
# 300 s before the limit, Slurm sends SIGTERM to the processes, not to this script. The run finishes its step, saves a
# checkpoint and leaves RUN_DIR/stopped.json, and this script puts the job back into the queue. fsdp2.yaml can be used in
# the same way, with --num_machines and --machine_rank.
#SBATCH --job-name=evenhand
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append

CONFIG=${CONFIG:-configs/train/gpt2.yaml}
RUN_DIR=${RUN_DIR:-runs/gpt2}
export CONFIG RUN_DIR
HEAD_NODE=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export HEAD_NODE
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=240 # how long the launcher waits for the checkpoint after SIGTERM, in seconds

# remove the file of an earlier start: otherwise a run that fails before it reads its checkpoint is requeued forever
rm -f "$RUN_DIR/stopped.json"

# exec: the signal must reach the launcher, not a shell that waits for it
srun --kill-on-bad-exit=1 bash -c 'exec accelerate launch --quiet --config_file configs/accelerate/multi_node.yaml \
  --num_machines "$SLURM_NNODES" --num_processes "$((SLURM_NNODES * SLURM_GPUS_ON_NODE))" \
  --machine_rank "$SLURM_NODEID" --main_process_ip "$HEAD_NODE" \
  train.py --config "$CONFIG" run_dir="$RUN_DIR" "$@"' run "$@"
code=$?

if [ -e "$RUN_DIR/stopped.json" ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
