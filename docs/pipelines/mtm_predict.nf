// Nextflow module: predict the expression of other tissues from a table of blood expression.
// include { MTM_PREDICT } from './mtm_predict'
// workflow { MTM_PREDICT(Channel.of([[id: 'example'], file('data_samples/blood_tpm.tsv')]), 'gtex_v8_acmg59_stack', 'all') }

process MTM_PREDICT {
    tag "$meta.id"
    label 'process_medium'

    input:
    tuple val(meta), path(table)
    val model
    val targets

    output:
    tuple val(meta), path("${prefix}.h5ad"), emit: prediction
    tuple val(meta), path("${prefix}.log"),  emit: log
    path 'versions.yml',                     emit: versions

    script:
    prefix = task.ext.prefix ?: "${meta.id}"
    def arguments = task.ext.args ?: ''
    """
    export OMP_NUM_THREADS=$task.cpus
    mtm predict '$table' --model '$model' --targets '$targets' $arguments --output '${prefix}.h5ad' 2> '${prefix}.log'
    echo "\\"${task.process}\\": {mtm: \$(mtm --version | cut -d' ' -f2)}" > versions.yml
    """
}
