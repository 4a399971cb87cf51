#!/bin/sh
# Submit a job of Snakemake to Kubernetes, and print its name:
#   HALO_IMAGE=… HALO_CLAIM=… HALO_MOUNT=… sh submit.sh THREADS MEM_MB GPUS JOBSCRIPT
set -eu
kubectl create --output name --filename - <<MANIFEST
apiVersion: batch/v1
kind: Job
metadata:
  generateName: halo-
spec:
  backoffLimit: 0
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: job
          image: "$HALO_IMAGE"
          command: [sh, "$4"]
          workingDir: "$PWD"
          resources:
            requests: {cpu: $1, memory: ${2}Mi}
            limits: {memory: ${2}Mi, nvidia.com/gpu: $3}
          volumeMounts:
            - {name: project, mountPath: "$HALO_MOUNT"}
      volumes:
        - name: project
          persistentVolumeClaim: {claimName: "$HALO_CLAIM"}
MANIFEST
