"""Operators that compute no value: they move, select, fill, cast or relabel.

An explicit list: what is neither here nor has a rule is uncounted.
"""

from __future__ import annotations

import torch

from opcount.rules.registry import free

_FREE = {
    "views and shapes": """
        alias as_strided detach diagonal expand expand_as flatten lift lift_fresh movedim narrow permute
        positive real imag reshape reshape_as resolve_conj resolve_neg select slice split split_with_sizes
        squeeze swapaxes t transpose unbind unflatten unfold unsqueeze view view_as view_as_complex
        view_as_real _conj _neg_view _reshape_alias _reshape_copy _unsafe_view unsafe_split
        unsafe_split_with_sizes unsafe_chunk chunk tensor_split mT
    """,
    "copies of views": """
        alias_copy as_strided_copy detach_copy diagonal_copy expand_copy narrow_copy permute_copy select_copy
        slice_copy split_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy
        unsqueeze_copy view_copy view_as_complex_copy view_as_real_copy lift_fresh_copy _conj_copy
        _neg_view_copy _reshape_alias_copy ccol_indices_copy col_indices_copy crow_indices_copy row_indices_copy
        indices_copy _indices_copy values_copy _values_copy _nested_get_values_copy _fw_primal_copy slice_inverse
    """,
    "copies and casts": """
        clone contiguous copy _copy_from _to_copy to type_as _pin_memory pin_memory is_pinned _lazy_clone
        complex to_mkldnn _to_dense to_dense set resize resize_as _resize_output record_stream
        _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned _nested_tensor_from_tensor_list
        _nested_from_padded _nested_from_padded_tensor _nested_from_padded_and_nested_example to_padded_tensor
        _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward sparse_coo_tensor _to_sparse _to_sparse_csr
        _sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors sparse_compressed_tensor sparse_mask
        int_repr _mkldnn_transpose mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight
    """,
    "selection and placement": """
        cat concat stack hstack vstack dstack _chunk_cat block_diag channel_shuffle pixel_shuffle
        pixel_unshuffle native_channel_shuffle constant_pad_nd pad reflection_pad1d reflection_pad2d
        reflection_pad3d replication_pad1d replication_pad2d replication_pad3d flip fliplr flipud roll rot90
        repeat repeat_interleave tile gather index index_copy index_fill index_select masked_fill
        masked_scatter masked_select select_scatter slice_scatter diagonal_scatter
        as_strided_scatter take take_along_dim where tril triu tril_indices triu_indices diag_embed diag
        _unsafe_index _unsafe_masked_index _pack_padded_sequence _pad_packed_sequence
        broadcast_tensors meshgrid
    """,
    "fills and ranges": """
        arange empty empty_like empty_permuted empty_strided eye fill fill_diagonal full full_like linspace
        new_empty new_empty_strided new_full new_ones new_zeros ones ones_like range scalar_tensor zero zeros
        zeros_like _efficientzerotensor logspace
        _new_zeros_with_same_feature_meta bartlett_window blackman_window hamming_window hann_window
        kaiser_window fft_fftfreq fft_rfftfreq
    """,
    "random numbers": """
        bernoulli binomial cauchy exponential geometric log_normal multinomial normal poisson rand rand_like
        randint randint_like randn randn_like random randperm uniform normal_functional _sample_dirichlet
        _standard_gamma
    """,
    "signs, rounding and logic": """
        neg negative sign signbit copysign ceil floor trunc fix conj_physical _conj_physical
        nan_to_num isfinite isnan isinf isneginf isposinf isreal any all _is_all_true _is_any_true logical_and
        logical_not logical_or logical_xor bitwise_and bitwise_not bitwise_or bitwise_xor bitwise_left_shift
        bitwise_right_shift __and__ __or__ __xor__ __lshift__ __rshift__ is_same_size is_nonzero
        nextafter frexp gcd lcm
    """,
    "bookkeeping": """
        _assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async
        _functional_assert_scalar _print _local_scalar_dense item numel size stride storage_offset dim
        is_contiguous is_strides_like_format is_non_overlapping_and_dense sym_is_contiguous sym_numel sym_size
        sym_storage_offset sym_stride sym_constrain_range sym_constrain_range_for_size _has_same_storage_numel
        _debug_has_internal_overlap _nested_tensor_size _nested_tensor_strides _nested_tensor_storage_offsets
        result_type can_cast _version is_coalesced _coalesced _nnz _indices _values indices values
        crow_indices col_indices dense_dim sparse_dim _dimI _dimV _nested_get_values _nested_get_offsets
        _nested_get_lengths _nested_get_ragged_idx _nested_get_min_seqlen _nested_get_max_seqlen
        _nested_get_jagged_dummy _nested_view_from_jagged _nested_view_from_buffer q_scale q_zero_point
        qscheme _weight_norm_interface _cudnn_rnn_flatten_weight _mkldnn_reshape _use_cudnn_ctc_loss
        _make_dual _unpack_dual _fused_sdp_choice is_set_to ccol_indices row_indices q_per_channel_axis
        q_per_channel_scales q_per_channel_zero_points hash_tensor
    """,
}

# TorchScript's optimizer compares constants by it, which no model asked for; a model's own call is seen as a function.
free("aten.equal")
# PyTorch takes these apart above its dispatcher, into comparisons that only look for infinities and parts.
free(torch.isfinite, torch.Tensor.isfinite, torch.isreal, torch.Tensor.isreal)
free(*(f"aten.{name}" for names in _FREE.values() for name in names.split()))
free("prim.device", "prim.layout", "prims.device_put")
free("profiler._record_function_enter", "profiler._record_function_enter_new", "profiler._record_function_exit")
