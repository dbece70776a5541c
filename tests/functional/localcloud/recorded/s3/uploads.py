"""S3's uploads in parts as AWS was recorded."""

from __future__ import annotations

from tests.functional.localcloud.recorded.case import Crashed, answered, but, refused
from tests.functional.localcloud.recorded.s3.world import (
    BUCKET,
    NO_UPLOAD,
    S3,
    aborted,
    case,
    completed,
    on,
    part_uploaded,
    parts_listed,
    uploads_listed,
)

CASES = (
    case(
        "CreateMultipartUpload",
        f"{S3}::test_multipart_and_list_parts",
        on(BUCKET, "create_multipart_upload", Key="upload"),
        answered("Bucket Key ServerSideEncryption UploadId"),
        here=but(answered("Bucket Key ServerSideEncryption UploadId"), without="ServerSideEncryption"),
    ),
    case(
        "CreateMultipartUpload",
        f"{S3}::test_put_object_storage_class_outposts",
        on(BUCKET, "create_multipart_upload", Key="upload", StorageClass="OUTPOSTS"),
        refused("InvalidStorageClass", 400, "The storage class you specified is not valid"),
        here=answered("Bucket Key UploadId"),
    ),
    case(
        "UploadPart",
        f"{S3}::test_multipart_and_list_parts",
        part_uploaded,
        answered("ChecksumCRC32 ETag ServerSideEncryption"),
        here=but(answered("ChecksumCRC32 ETag ServerSideEncryption"), without="ServerSideEncryption"),
    ),
    case(
        "UploadPart",
        f"{S3}::test_multipart_no_such_upload",
        on(BUCKET, "upload_part", Key="upload", UploadId="fakeid", PartNumber=1, Body=b"a"),
        NO_UPLOAD,
        here=Crashed(),
    ),
    case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_and_list_parts",
        completed("whole", lambda parts: parts, 65),
        answered("Bucket ChecksumCRC64NVME ChecksumType ETag Key Location ServerSideEncryption"),
        here=but(
            answered("Bucket ChecksumCRC64NVME ChecksumType ETag Key Location ServerSideEncryption"),
            without="ChecksumCRC64NVME ChecksumType ServerSideEncryption",
            more="VersionId",
        ),
    ),
    case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_complete_multipart_too_small",
        completed("too-small", lambda parts: parts, 4, 4),
        refused("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"),
        here=refused("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed object size."),
    ),
    case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_complete_multipart_too_small",
        completed("no-parts", lambda _: [], 4),
        refused("InvalidRequest", 400, "You must specify at least one part"),
        here=refused(
            "MalformedXML",
            400,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
    ),
    case(
        "CompleteMultipartUpload",
        f"{S3}::test_complete_multipart_parts_order",
        completed("order", lambda parts: parts[::-1], 5 << 20, 5 << 20),
        refused(
            "InvalidPartOrder",
            400,
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ),
        here=answered("Bucket ETag Key Location VersionId"),
    ),
    case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_complete_multipart_wrong_part",
        completed("wrong-part", lambda parts: [parts[0] | {"PartNumber": 2}], 4),
        refused(
            "InvalidPart",
            400,
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
            "specified entity tag may not match the part's entity tag.",
        ),
        here=refused(
            "InvalidPart",
            400,
            "One or more of the specified parts could not be found. The part might not have been uploaded, or "
            "the specified entity tag might not have matched the part's entity tag.",
        ),
    ),
    case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_no_such_upload",
        on(
            BUCKET,
            "complete_multipart_upload",
            Key="upload",
            UploadId="fakeid",
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "a"}]},
        ),
        NO_UPLOAD,
        here=Crashed(),
    ),
    case(
        "AbortMultipartUpload",
        f"{S3}::test_multipart_no_such_upload",
        on(BUCKET, "abort_multipart_upload", Key="upload", UploadId="fakeid"),
        NO_UPLOAD,
    ),
    case(
        "ListParts",
        f"{S3}::test_multipart_and_list_parts",
        parts_listed,
        answered(
            "Bucket Initiator.DisplayName Initiator.ID IsTruncated Key MaxParts NextPartNumberMarker Owner.ID "
            "PartNumberMarker Parts.ETag Parts.LastModified Parts.PartNumber Parts.Size StorageClass UploadId"
        ),
        here=but(
            answered(
                "Bucket Initiator.DisplayName Initiator.ID IsTruncated Key MaxParts NextPartNumberMarker Owner.ID "
                "PartNumberMarker Parts.ETag Parts.LastModified Parts.PartNumber Parts.Size StorageClass UploadId"
            ),
            more="Owner.DisplayName",
        ),
    ),
    case("ListParts", f"{S3}::test_multipart_and_list_parts", aborted, NO_UPLOAD),
    case(
        "ListMultipartUploads",
        f"{S3}::test_multipart_and_list_parts",
        uploads_listed,
        answered(
            "Bucket IsTruncated KeyMarker MaxUploads NextKeyMarker NextUploadIdMarker UploadIdMarker "
            "Uploads.Initiated "
            "Uploads.Initiator.DisplayName Uploads.Initiator.ID Uploads.Key Uploads.Owner.ID Uploads.StorageClass "
            "Uploads.UploadId"
        ),
        here=but(
            answered(
                "Bucket IsTruncated KeyMarker MaxUploads NextKeyMarker NextUploadIdMarker UploadIdMarker "
                "Uploads.Initiated "
                "Uploads.Initiator.DisplayName Uploads.Initiator.ID Uploads.Key Uploads.Owner.ID "
                "Uploads.StorageClass "
                "Uploads.UploadId"
            ),
            without="NextKeyMarker NextUploadIdMarker",
            more="Uploads.Owner.DisplayName",
        ),
    ),
)
